"""Augmentation in Python, each image by random numbers of its own.

MindSpore runs Python operators on several threads, and what these draw from a shared generator depends on
which comes first. Here every sample carries a key, and all that is drawn for it follows from that key alone:
the same for any number of threads, in a repeated run and after a resume.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import mindspore.dataset as ds
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindcv.data.augment import ColorJitter, RandomErasing, create_policy
from mindcv.data.catalogue import channel_statistics
from mindcv.data.sampling import epoch_keys
from mindcv.errors import UserError

__all__ = ["BATCHES", "IMAGES", "Augmentation", "create_augmentation", "generator"]

Picture = Callable[[Image.Image, np.random.Generator], Image.Image]
Pixels = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]

IMAGES, BATCHES = 0, 1  # what a key is drawn for: the first image of a batch has the batch's key


def generator(key: Any, purpose: int = IMAGES) -> np.random.Generator:
    """The random numbers of a key, from `epoch_keys`."""
    return np.random.default_rng((int(key), purpose))


class Augmentation:
    """The operator that does Python's part: on Pillow's images first, then on pixels.

    As one of the operators of `create_loader` or `Pipeline` it is given every image's key. In a map of your
    own it counts the images instead, from the seed of `mindspore.dataset.config`: on one thread that is as
    reproducible.

    Args:
        pictures: Functions of a Pillow image and a generator, applied in turn: a policy, or colour jitter.
        pixels: Functions of pixels (uint8, ``[H, W, C]``) and a generator, applied in turn after those.
    """

    def __init__(self, pictures: Sequence[Picture] = (), pixels: Sequence[Pixels] = ()) -> None:
        self.pictures = tuple(pictures)
        self.pixels = tuple(pixels)
        self._calls = count()

    def __call__(self, image: NDArray[np.uint8], key: Any = None) -> NDArray[np.uint8]:
        """Augment an image of shape ``[H, W, C]``."""
        if key is None:
            key = epoch_keys(1, seed=ds.config.get_seed(), epoch=next(self._calls))[0]
        random = generator(key)
        if self.pictures:
            picture = Image.fromarray(image)
            for function in self.pictures:
                picture = function(picture, random)
            image = np.array(picture)
        for function in self.pixels:
            image = function(image, random)
        return image


def create_augmentation(
    dataset_name: str = "",
    image_resize: int = 224,
    auto_augment: str | None = None,
    color_jitter: float | Sequence[float] | None = None,
    re_prob: float = 0.0,
    **erasing: Any,
) -> Augmentation | None:
    """Python's part of the augmentation, in timm's order: a policy, colour jitter, then erasing.

    Args:
        dataset_name: Name as in `create_dataset`.
        image_resize: Size of the images in pixels.
        auto_augment: Policy, as in `create_policy`.
        color_jitter: Largest change of brightness, contrast and saturation, or three numbers for the three,
            or four with hue. A policy other than 3-Augment takes its place, as in MindCV and timm.
        re_prob: Probability that an image has a rectangle erased.
        erasing: Further keywords of `RandomErasing`.

    Returns:
        The operator; None if nothing is asked for.

    Raises:
        UserError: If a name is unknown or a number impossible.
    """
    mean, std = channel_statistics(dataset_name)
    pictures: list[Picture] = []
    if auto_augment:
        red, green, blue = map(round, mean)
        pictures.append(create_policy(auto_augment, fill=(red, green, blue), size=image_resize))
    if color_jitter and (not auto_augment or "3a" in auto_augment):
        pictures.append(_jitter(color_jitter))
    pixels: list[Pixels] = [RandomErasing(re_prob, mean=mean, std=std, **erasing)] if re_prob else []
    return Augmentation(pictures, pixels) if pictures or pixels else None


def _jitter(strength: float | Sequence[float]) -> ColorJitter:
    strengths = (strength,) * 3 if isinstance(strength, (int, float)) else tuple(strength)
    if len(strengths) not in (3, 4):
        raise UserError(
            f"color_jitter={strengths} has {len(strengths)} numbers: give one, or three for brightness, "
            "contrast and saturation, or four with hue"
        )
    return ColorJitter(*strengths)
