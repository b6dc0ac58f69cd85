"""The images that an exported network takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageFormat", "Pixels"]

Pixels = NDArray[np.uint8]  # [N, C, H, W], on the scale 0 to 255


@dataclass(frozen=True, kw_only=True)
class ImageFormat:
    """The images that a network takes, and those that its exported file takes.

    Args:
        channels: 3 for RGB, 1 for grey.
        size: Height and width in pixels for which the network was made; other sizes work too.
        mean: Mean of each channel on the scale 0 to 255.
        std: Standard deviation of each channel on the scale 0 to 255.
        uint8_input: Whether the exported file takes raw uint8 images and normalises them itself.
    """

    channels: int
    size: int
    mean: Sequence[float]
    std: Sequence[float]
    uint8_input: bool = False

    def normalized(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return float32 images as the network takes them."""
        mean, scale = (np.reshape(v, (-1, 1, 1)) for v in (self.mean, 1 / np.asarray(self.std)))
        return (pixels.astype(np.float32) - mean.astype(np.float32)) * scale.astype(np.float32)

    def given(self, pixels: Pixels) -> NDArray:
        """Return images as the exported file takes them: raw, or normalised."""
        return pixels if self.uint8_input else self.normalized(pixels)

    def random(self, batch: int, seed: int) -> Pixels:
        """Return a batch of noise; each image has a brightness and a contrast of its own, down to none."""
        rng = np.random.default_rng(seed)
        low, high = np.sort(rng.integers(0, 256, (2, batch, 1, 1, 1)), axis=0)
        shape = (batch, self.channels, self.size, self.size)
        return rng.integers(low, high + 1, shape).astype(np.uint8)
