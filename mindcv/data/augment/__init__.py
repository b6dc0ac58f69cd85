"""Augmentations: pure functions of an image and a random generator, written with NumPy and Pillow."""

from mindcv.data.augment.erasing import RandomErasing
from mindcv.data.augment.jitter import ColorJitter
from mindcv.data.augment.policies import Policy, create_policy
from mindcv.data.augment.random_crop import RandomResizedCrop

__all__ = ["ColorJitter", "Policy", "RandomErasing", "RandomResizedCrop", "create_policy"]
