"""Augmentation policies as operators of a dataset's map, under MindCV's names."""

from collections.abc import Collection, Mapping
from typing import Any

from mindcv.data.augment import create_policy
from mindcv.data.seeded_augmentation import Augmentation
from mindcv.errors import UnknownNameError, UserError

__all__ = [
    "augment_and_mix_transform",
    "auto_augment_transform",
    "rand_augment_transform",
    "trivial_augment_wide_transform",
]


def auto_augment_transform(configs: str, hparams: Mapping[str, Any] | None = None) -> Augmentation:
    """Return AutoAugment or 3-Augment, such as ``autoaug-mstd0.5``; for the arguments see `create_policy`."""
    return _operator(configs, ("autoaug", "autoaugr", "3a", "original", "originalr", "v0", "v0r"), hparams)


def rand_augment_transform(configs: str, hparams: Mapping[str, Any] | None = None) -> Augmentation:
    """Return RandAugment, such as ``randaug-m9-n2``; for the arguments see `create_policy`."""
    return _operator(configs, ("randaug", "rand"), hparams)


def trivial_augment_wide_transform(configs: str, hparams: Mapping[str, Any] | None = None) -> Augmentation:
    """Return TrivialAugment, such as ``trivialaugwide-m20``; for the arguments see `create_policy`."""
    return _operator(configs, ("trivialaugwide",), hparams)


def augment_and_mix_transform(configs: str, hparams: Mapping[str, Any] | None = None) -> Augmentation:
    """Return AugMix, such as ``augmix-m5-w4``; for the arguments see `create_policy`."""
    return _operator(configs, ("augmix",), hparams)


def _operator(configs: str, heads: Collection[str], hparams: Mapping[str, Any] | None) -> Augmentation:
    """Return a policy as an operator.

    Args:
        configs: Name and options of the policy.
        heads: The names that it may have.
        hparams: ``img_mean``, the colour of the area outside of the image.
    """
    head = str(configs).partition("-")[0]
    if head not in heads:
        raise UnknownNameError(f"auto_augment={configs!r} is unknown: begin with {' or '.join(heads)}")
    others = set(hparams or ()) - {"img_mean"}
    if others:
        raise UserError(f"hparams: unknown key {min(others)!r}: give img_mean, or put options in configs")
    red, green, blue = (int(value) for value in (hparams or {}).get("img_mean", (124, 116, 104)))
    return Augmentation([create_policy(configs, fill=(red, green, blue))])
