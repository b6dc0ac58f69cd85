"""Magnitudes of operations, with noise, and the strengths that they mean for each operation."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mindcv.data.augment.operations import Fill

__all__ = ["DENOMINATOR", "Geometry", "Magnitude", "Operation"]

DENOMINATOR = 10  # the magnitude whose level is 1


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Fill colour and interpolations of geometric operations.

    Args:
        fill: Colour of what lies outside the image.
        resamples: Interpolations, of which one is drawn each time.
    """

    fill: Fill
    resamples: tuple[Image.Resampling, ...] = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


@dataclass(frozen=True, kw_only=True)
class Magnitude:
    """A magnitude with noise.

    Args:
        mean: Magnitude without noise.
        std: Standard deviation of its normal noise; infinite: uniform between 0 and `mean`.
        top: Upper limit after the noise; the lower one is 0.
    """

    mean: float
    std: float = 0.0
    top: float = DENOMINATOR

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one magnitude."""
        if math.isinf(self.std):
            drawn = rng.uniform(0, self.mean)
        else:
            drawn = rng.normal(self.mean, self.std) if self.std else self.mean
        return min(max(drawn, 0.0), self.top)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An operation and its strength: ``start`` at level 0, ``start + span`` at level 1.

    Args:
        apply: Function of `operations`.
        start: Strength at level 0.
        span: Change up to level 1; without it the operation has no strength.
        rounding: Applied to the change; `int` drops the fraction.
        signed: Whether the sign of the change is random.
        drawn: Whether the strength is uniform between `start` and that of the level.
        lowest: Lower limit of the strength, for levels above 1.
        highest: Upper limit.
        geometric: Whether it takes `fill` and `resample`.
    """

    apply: Callable[..., Image.Image]
    start: float = 0
    span: float | None = None
    rounding: Callable[[float], float] = float
    signed: bool = False
    drawn: bool = False
    lowest: float = -math.inf
    highest: float = math.inf
    geometric: bool = False

    def strength(self, level: float, *, negative: bool = False) -> float:
        """Return the strength at a level; `negative` reverses the sign of the change."""
        assert self.span is not None
        change = self.rounding(abs(self.span) * level)
        change = -change if (self.span < 0) != negative else change
        return min(max(self.start + change, self.lowest), self.highest)

    def __call__(
        self, image: Image.Image, level: float, rng: np.random.Generator, geometry: Geometry
    ) -> Image.Image:
        """Apply the operation at a level, with random choices drawn from `rng`."""
        if self.span is None:
            return self.apply(image)
        strength = self.strength(level, negative=self.signed and rng.random() < 0.5)
        if self.drawn:
            strength = rng.uniform(self.start, strength)
        if not self.geometric:
            return self.apply(image, strength)
        resample = geometry.resamples[rng.integers(len(geometry.resamples))]
        return self.apply(image, strength, fill=geometry.fill, resample=resample)
