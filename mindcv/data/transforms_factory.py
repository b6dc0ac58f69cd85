"""Transforms of one kind of dataset each, with MindCV's names and order of arguments."""

from collections.abc import Sequence
from typing import Any

from mindcv.data.auto_augment import (
    augment_and_mix_transform,
    auto_augment_transform,
    rand_augment_transform,
    trivial_augment_wide_transform,
)
from mindcv.data.constants import DEFAULT_CROP_PCT, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from mindcv.data.transforms import create_transforms

__all__ = [
    "DEFAULT_CROP_PCT",
    "IMAGENET_DEFAULT_MEAN",
    "IMAGENET_DEFAULT_STD",
    "augment_and_mix_transform",
    "auto_augment_transform",
    "create_transforms",
    "rand_augment_transform",
    "transforms_cifar",
    "transforms_imagenet_eval",
    "transforms_imagenet_train",
    "transforms_mnist",
    "trivial_augment_wide_transform",
]


def transforms_imagenet_train(
    image_resize: int = 224,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (0.75, 1.333),
    hflip: float = 0.5,
    vflip: float = 0.0,
    color_jitter: float | Sequence[float] | None = None,
    auto_augment: str | None = None,
    interpolation: str = "bilinear",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    re_prob: float = 0.0,
    re_scale: tuple[float, float] = (0.02, 0.33),
    re_ratio: tuple[float, float] = (0.3, 3.3),
    re_value: float | str = 0,
    re_max_attempts: int = 10,
    separate: bool = False,
) -> Sequence[Any]:
    """Return the training transforms of photographs; for the arguments see `create_transforms`."""
    return create_transforms(
        "imagenet",
        image_resize,
        is_training=True,
        auto_augment=auto_augment,
        separate=separate,
        scale=scale,
        ratio=ratio,
        hflip=hflip,
        vflip=vflip,
        color_jitter=color_jitter,
        interpolation=interpolation,
        mean=mean,
        std=std,
        re_prob=re_prob,
        re_scale=re_scale,
        re_ratio=re_ratio,
        re_value=re_value,
        re_max_attempts=re_max_attempts,
    )


def transforms_imagenet_eval(
    image_resize: int = 224,
    crop_pct: float = 0.875,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: str = "bilinear",
) -> Sequence[Any]:
    """Return the evaluation transforms of photographs; for the arguments see `create_transforms`."""
    return create_transforms(
        "imagenet", image_resize, crop_pct=crop_pct, mean=mean, std=std, interpolation=interpolation
    )


def transforms_cifar(resize: int = 224, is_training: bool = True) -> Sequence[Any]:
    """Return the transforms of CIFAR-10 and CIFAR-100.

    Args:
        resize: Size of the output in pixels.
        is_training: Augment, instead of evaluate.
    """
    return create_transforms("cifar10", resize, is_training=is_training)


def transforms_mnist(resize: int = 224) -> Sequence[Any]:
    """Return the evaluation transforms of MNIST, for one channel.

    Args:
        resize: Size of the output in pixels.
    """
    return create_transforms("mnist", resize, in_channels=1)
