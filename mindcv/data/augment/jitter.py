"""Random changes of colour, as torchvision's ColorJitter makes them."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from mindcv.data.augment.operations import brightness, color, contrast
from mindcv.errors import UserError

__all__ = ["ColorJitter"]

Amount = float | tuple[float, float]


class ColorJitter:
    """Changes brightness, contrast, saturation and hue by random amounts, in a random order.

    Args:
        brightness: Half the range of the factor: it is uniform from ``max(0, 1 - brightness)`` to
            ``1 + brightness``; or the range itself.
        contrast: The same for the contrast.
        saturation: The same for the saturation.
        hue: Half the range of the rotation of the hue, in turns, at most 0.5; or the range itself.

    Raises:
        UserError: If an amount is out of range.
    """

    def __init__(
        self, brightness: Amount = 0.0, contrast: Amount = 0.0, saturation: Amount = 0.0, hue: Amount = 0.0
    ) -> None:
        self.brightness = _factors("brightness", brightness)
        self.contrast = _factors("contrast", contrast)
        self.saturation = _factors("saturation", saturation)
        self.hue = _turns(hue)

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return a changed image of the same mode, RGB or L; a grey one has neither saturation nor hue."""
        changes: list[tuple[Callable[[Image.Image, float], Image.Image], tuple[float, float], float]] = [
            (brightness, self.brightness, 1.0),
            (contrast, self.contrast, 1.0),
            (color, self.saturation, 1.0),
            (turn_hue, self.hue, 0.0),
        ]
        for index in rng.permutation(len(changes)):
            change, bounds, neutral = changes[index]
            if bounds != (neutral, neutral):
                image = change(image, rng.uniform(*bounds))
        return image


def turn_hue(image: Image.Image, turns: float) -> Image.Image:
    """Rotate the hue: by 1/3, red becomes green, and green becomes blue."""
    if image.mode == "L":
        return image
    hue, saturation, value = image.convert("HSV").split()
    # Pillow's hue is cyclic from 0 to 255, both of which are red.
    steps = round(turns * 255)
    hue = hue.point([(level + steps) % 255 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert(image.mode)


def _factors(name: str, amount: Amount) -> tuple[float, float]:
    if isinstance(amount, (int, float)):
        low, high = (max(0.0, 1 - amount), 1 + amount) if amount >= 0 else (math.nan, math.nan)
    else:
        low, high = amount
    if not 0 <= low <= high < math.inf:
        raise UserError(
            f"{name}={amount} is out of range: give a number of at least 0, or a range of such factors"
        )
    return float(low), float(high)


def _turns(amount: Amount) -> tuple[float, float]:
    low, high = (-amount, amount) if isinstance(amount, (int, float)) else amount
    if not -0.5 <= low <= high <= 0.5:
        raise UserError(
            f"hue={amount} is out of range: give a number from 0 to 0.5, or a range within -0.5 to 0.5"
        )
    return float(low), float(high)
