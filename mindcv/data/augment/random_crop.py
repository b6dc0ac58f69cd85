"""Inception's random resized crop, as torchvision's RandomResizedCrop makes it."""

import math

import numpy as np
from PIL import Image

__all__ = ["RandomResizedCrop"]

ATTEMPTS = 10


class RandomResizedCrop:
    """Crops a random part of an image and resizes it with Pillow.

    Args:
        size: Height and width of the output, in pixels.
        scale: Smallest and largest fraction of the image's area; the fraction is uniform between them.
        ratio: Smallest and largest width over height; its logarithm is uniform between theirs.
        resample: Pillow's interpolation, which averages when it shrinks.
    """

    def __init__(
        self,
        size: tuple[int, int],
        scale: tuple[float, float],
        ratio: tuple[float, float],
        resample: Image.Resampling,
    ) -> None:
        self.size = size
        self.scale = scale
        self.ratio = ratio
        self.resample = resample

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return a crop drawn from `rng`."""
        height, width = self.size
        return image.crop(self._box(image.width, image.height, rng)).resize((width, height), self.resample)

    def _box(self, width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Draw left, top, right and bottom, or take the largest centre crop if no draw fits."""
        low, high = (math.log(bound) for bound in self.ratio)
        for _ in range(ATTEMPTS):
            area = rng.uniform(*self.scale) * width * height
            ratio = math.exp(rng.uniform(low, high))
            columns, rows = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < columns <= width and 0 < rows <= height:
                left, top = int(rng.integers(width - columns + 1)), int(rng.integers(height - rows + 1))
                return left, top, left + columns, top + rows
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        columns, rows = min(width, round(height * ratio)), min(height, round(width / ratio))
        left, top = (width - columns) // 2, (height - rows) // 2
        return left, top, left + columns, top + rows
