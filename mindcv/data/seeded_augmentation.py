"""Augmentation in Python whose random numbers depend on the image's key alone.

MindSpore runs Python operators on several threads, and what these draw from a shared generator depends on
which comes first. Here every sample carries a key, and all that is drawn for it follows from that key: the
same for any number of threads, in a repeated run and after a resume.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import mindspore.dataset as ds
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindcv.data.sampling import epoch_keys

__all__ = ["BATCHES", "CROPS", "ERASINGS", "IMAGES", "Augmentation", "Picture", "Pixels", "generator"]

Picture = Callable[[Image.Image, np.random.Generator], Image.Image]
Pixels = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]

# The purpose of a draw: an image has one key for all, and a batch has the key of its first image.
IMAGES, BATCHES, CROPS, ERASINGS = range(4)


def generator(key: Any, purpose: int = IMAGES) -> np.random.Generator:
    """Return the random number generator of a key, from `epoch_keys`."""
    return np.random.default_rng((int(key), purpose))


class Augmentation:
    """Operator that augments in Python: Pillow images first, then pixels.

    As one of the operators of `create_loader` or `Pipeline` it is given the key of every image. In a map of
    your own it counts the images instead, from the seed of `mindspore.dataset.config`: on one thread that is
    as reproducible.

    Args:
        pictures: Functions of a Pillow image and a generator, applied in turn: a policy, or colour jitter.
        pixels: Functions of pixels (uint8, ``[H, W, C]``) and a generator, applied in turn after those.
        purpose: What is drawn: two operators with the same key and different purposes are independent.
    """

    def __init__(
        self, pictures: Sequence[Picture] = (), pixels: Sequence[Pixels] = (), purpose: int = IMAGES
    ) -> None:
        self.pictures = tuple(pictures)
        self.pixels = tuple(pixels)
        self.purpose = purpose
        self._calls = count()

    def __call__(self, image: NDArray[np.uint8], key: Any = None) -> NDArray[np.uint8]:
        """Augment an image of shape ``[H, W, C]``."""
        if key is None:
            key = epoch_keys(1, seed=ds.config.get_seed(), epoch=next(self._calls))[0]
        random = generator(key, self.purpose)
        if self.pictures:
            picture = Image.fromarray(image)
            for function in self.pictures:
                picture = function(picture, random)
            image = np.array(picture)
        for function in self.pixels:
            image = function(image, random)
        return image
