"""Random erasing: a rectangle of an image becomes a plain colour or noise (arXiv 1708.04896)."""

import math

import numpy as np

from mindcv.errors import UserError

__all__ = ["RandomErasing"]

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class RandomErasing:
    """Erases a random rectangle of a uint8 image, before normalisation.

    timm and torchvision erase after the normalisation. Their 0 is the mean colour here, and their normal
    noise has the mean and the standard deviation here. It is rounded to integers, and what lies beyond
    0 and 255 (with ImageNet's numbers, 0.4 to 4 % on a side) becomes 0 and 255.

    Args:
        probability: Probability that an image is erased.
        scale: Smallest and largest fraction of the area; it is uniform between them.
        ratio: Smallest and largest height over width; its logarithm is uniform between theirs.
        value: ``"const"`` or 0: the mean colour. Another number: the constant colour that it is in a
            normalised image. ``"pixel"`` or ``"random"``: normal noise for each pixel and channel.
        max_attempts: Maximum number of draws until a rectangle fits; otherwise the image does not change.
        mean: Mean of each channel, from 0 to 255; one number for a grey image.
        std: Standard deviation of each channel.

    Raises:
        UserError: If an argument is out of range.
    """

    def __init__(
        self,
        probability: float,
        *,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float | str = "const",
        max_attempts: int = 10,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
    ) -> None:
        _check(probability, scale, ratio, max_attempts)
        self.probability = probability
        self.scale = scale
        self.ratio = ratio
        self.level = _constant(value)
        self.max_attempts = max_attempts
        self.mean = np.asarray(mean, np.float64)
        self.std = np.asarray(std, np.float64)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a copy of an image, with a rectangle erased or not.

        Args:
            image: uint8, ``[H, W, C]``; it is not changed.
            rng: Random number generator.

        Raises:
            UserError: If there is no mean for each channel.
        """
        channels = image.shape[2]
        if not len(self.mean) == len(self.std) == channels:
            raise UserError(
                f"an image of {channels} channels cannot be erased with mean={tuple(self.mean)} and "
                f"std={tuple(self.std)}: give {channels} numbers each"
            )
        erased = image.copy()
        if rng.random() < self.probability:
            place = self._place(image.shape[0], image.shape[1], rng)
            if place is not None:
                height, width = erased[place].shape[:2]
                erased[place] = self._filling((height, width, channels), rng)
        return erased

    def _place(self, height: int, width: int, rng: np.random.Generator) -> tuple[slice, slice] | None:
        """Draw the rows and columns of a rectangle, uniformly; return None if no draw fits in the image."""
        low, high = (math.log(bound) for bound in self.ratio)
        for _ in range(self.max_attempts):
            area = rng.uniform(*self.scale) * height * width
            ratio = math.exp(rng.uniform(low, high))
            rows = max(round(math.sqrt(area * ratio)), 1)
            columns = max(round(math.sqrt(area / ratio)), 1)
            if rows <= height and columns <= width:
                top = rng.integers(height - rows + 1)
                left = rng.integers(width - columns + 1)
                return slice(top, top + rows), slice(left, left + columns)
        return None

    def _filling(self, shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
        level = rng.standard_normal(shape) if self.level is None else np.full(shape, self.level)
        return np.clip(np.rint(self.mean + self.std * level), 0, 255).astype(np.uint8)


def _constant(value: float | str) -> float | None:
    """Return the constant in a normalised image, or None for noise."""
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    constants = {"const": 0.0, "pixel": None, "random": None}
    if not isinstance(value, str) or value not in constants:
        raise UserError(
            f"re_value={value!r} is unknown: give a number (0 is the mean colour), or 'random' for noise"
        )
    return constants[value]


def _check(
    probability: float, scale: tuple[float, float], ratio: tuple[float, float], max_attempts: int
) -> None:
    if not 0 <= probability <= 1:
        raise UserError(f"re_prob={probability} must be a probability, from 0 to 1")
    if not 0 < scale[0] <= scale[1] <= 1:
        raise UserError(
            f"re_scale={scale} must be a range of fractions: give two increasing numbers above 0 and up to 1"
        )
    if not 0 < ratio[0] <= ratio[1] < math.inf:
        raise UserError(f"re_ratio={ratio} must be a range of ratios: give two increasing numbers above 0")
    if max_attempts < 1:
        raise UserError(f"max_attempts={max_attempts} must be a positive integer")
