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

from mindcv.data.sampling import epoch_keys

__all__ = ["BATCHES", "IMAGES", "Augmentation", "Picture", "Pixels", "generator"]

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
