"""The images of a run."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mindcv.config import Config
from mindcv.data import (
    OnnxTeacher,
    Pipeline,
    Source,
    channel_statistics,
    create_source,
    create_transforms,
    progressive_stages,
)
from mindcv.runtime.session import Runtime

__all__ = [
    "build_evaluation_transforms",
    "build_some_images",
    "build_training_data",
    "build_validation_data",
    "channel_scale",
    "count_classes",
    "evaluation_batches",
    "evaluation_size",
]


def build_training_data(config: Config, runtime: Runtime) -> Pipeline:
    """The training images, augmented, as batches of this rank."""
    data, mix = config.data, config.mix
    source = _source(config, data.train_split)
    first, *later = _stages(config)
    return Pipeline(
        source=source,
        transform=first[1],
        later_transforms=later,
        batch_size=data.batch_size,
        is_training=True,
        drop_remainder=data.drop_remainder,
        shuffle=data.shuffle,
        seed=config.system.seed,
        rank=runtime.rank,
        world_size=runtime.world_size,
        num_parallel_workers=data.num_parallel_workers,
        num_samples=data.num_samples,
        num_classes=config.model.num_classes,
        on_bad_image=data.on_bad_image,
        aug_repeats=config.policy.aug_repeats or 1,
        mixup=mix.mixup,
        cutmix=mix.cutmix,
        cutmix_prob=mix.cutmix_prob,
        mixup_switch_prob=mix.mixup_switch_prob,
        mixup_off_epoch=mix.mixup_off_epoch,
        accumulation=config.gradient.gradient_accumulation_steps,
        teacher=_onnx_teacher(config, source.classes),
    )


def build_validation_data(config: Config, runtime: Runtime) -> Pipeline:
    """The validation images as batches of this rank; over all ranks each image comes once."""
    data = config.data
    return Pipeline(
        source=_source(config, data.val_split),
        transform=build_evaluation_transforms(config),
        batch_size=data.batch_size,
        rank=runtime.rank,
        world_size=runtime.world_size,
        num_parallel_workers=data.num_parallel_workers,
        num_classes=config.model.num_classes,
        on_bad_image=data.on_bad_image,
    )


def build_evaluation_transforms(config: Config) -> list[Any]:
    """Operators that make the network's input of an image, where nothing is drawn at random."""
    return _transforms(config, evaluation_size(config), is_training=False)


def build_some_images(config: Config, split: str, count: int) -> Pipeline:
    """So many images of a split as an evaluation sees them, from all over it; fewer if it has no more."""
    source = _source(config, split)
    step = max(1, len(source) // count)
    return Pipeline(
        source=source,
        transform=build_evaluation_transforms(config),
        batch_size=min(count, config.data.batch_size),
        world_size=step,  # every step-th image: a folder's are in the order of its classes
        num_samples=step * count,
        num_parallel_workers=config.data.num_parallel_workers,
    )


def evaluation_batches(data: Pipeline) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The images of an evaluation and their labels; an image that cannot be read is named."""
    try:
        yield from data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True)
    except RuntimeError as error:
        raise data.explain(error) from error


def evaluation_size(config: Config) -> int:
    """Height and width of the images of an evaluation, in pixels."""
    return config.augment.val_image_resize or config.augment.image_resize


def _source(config: Config, split: str) -> Source:
    data = config.data
    return create_source(data.dataset, data.data_dir, split, splits=(data.train_split, data.val_split))


def _stages(config: Config) -> list[tuple[int, list[Any]]]:
    """Operators on the training images, each with the epoch from which they serve."""
    sizes, epochs = config.augment.progressive_sizes, config.augment.progressive_epochs
    stages = progressive_stages(sizes, epochs) if sizes else [(0, config.augment.image_resize)]
    return [(epoch, _transforms(config, size, is_training=True)) for epoch, size in stages]


def _transforms(config: Config, image_resize: int, *, is_training: bool) -> list[Any]:
    augment, policy = config.augment, config.policy
    return create_transforms(
        config.data.dataset,
        image_resize=image_resize,
        is_training=is_training,
        scale=augment.scale,
        ratio=augment.ratio,
        hflip=augment.hflip,
        vflip=augment.vflip,
        interpolation=augment.interpolation,
        crop_pct=augment.crop_pct,
        crop_padding=augment.crop_padding,
        in_channels=config.model.in_channels,
        auto_augment=policy.auto_augment or None,
        color_jitter=policy.color_jitter,
        re_prob=policy.re_prob,
        re_scale=policy.re_scale,
        re_ratio=policy.re_ratio,
        re_value=policy.re_value,
        re_max_attempts=policy.re_max_attempts,
    )


def count_classes(config: Config, classes: Sequence[str]) -> int:
    """How many logits the network has."""
    return config.model.num_classes or len(classes)


def channel_scale(config: Config) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of each channel, on the scale 0 to 255."""
    mean, std = channel_statistics(config.data.dataset, config.model.in_channels)
    return config.augment.mean or mean, config.augment.std or std


def _onnx_teacher(config: Config, classes: Sequence[str]) -> OnnxTeacher | None:
    if not config.teacher.is_onnx:
        return None
    mean, std = channel_scale(config)
    teacher = OnnxTeacher(
        config.teacher.teacher, mean=mean, std=std, num_classes=count_classes(config, classes)
    )
    for size in config.augment.progressive_sizes or [config.augment.image_resize]:
        teacher.check(
            batch_size=config.data.batch_size, image_resize=size, in_channels=config.model.in_channels
        )
    return teacher
