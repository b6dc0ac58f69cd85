"""AugMix: an image mixed with several chains of operations on it (arXiv 1912.02781)."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from mindcv.data.augment.magnitudes import DENOMINATOR, Geometry, Magnitude, Operation
from mindcv.data.augment.policy_tables import AUGMIX

__all__ = ["AugMix"]

LONGEST = 3  # of chains whose length is drawn


@dataclass(frozen=True, kw_only=True)
class AugMix:
    """``(1 - m) * image + m * sum of w_i * chain_i(image)``, with Beta's `m` and Dirichlet's `w`.

    Args:
        magnitude: Magnitude of the operations.
        geometry: How they fill and interpolate pixels.
        width: Number of chains.
        depth: Operations in a chain; -1 draws 1 to 3 for each.
        alpha: Parameter of both distributions.
        blended: Blend one chain after the other in 8 bits: the same mixture, less exact, with less memory.
        operations: Operations to draw from uniformly.
    """

    magnitude: Magnitude
    geometry: Geometry
    width: int = 3
    depth: int = -1
    alpha: float = 1.0
    blended: bool = False
    operations: tuple[Operation, ...] = AUGMIX

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return a mixture drawn from `rng`."""
        weights = rng.dirichlet([self.alpha] * self.width) * rng.beta(self.alpha, self.alpha)
        if self.blended:
            mixed = image
            for weight in _step_weights(weights):
                mixed = Image.blend(mixed, self._chain(image, rng), weight)
            return mixed
        mixture = (1 - weights.sum()) * np.asarray(image, np.float64)
        for weight in weights:
            mixture += weight * np.asarray(self._chain(image, rng), np.float64)
        return Image.fromarray(np.clip(np.rint(mixture), 0, 255).astype(np.uint8))

    def _chain(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        depth = self.depth if self.depth > 0 else rng.integers(1, LONGEST + 1)
        for index in rng.integers(len(self.operations), size=depth):
            level = self.magnitude.draw(rng) / DENOMINATOR
            image = self.operations[index](image, level, rng, self.geometry)
        return image


def _step_weights(weights: np.ndarray) -> list[float]:
    """Return weights of successive blends that result in a mixture with `weights`; the image has the rest."""
    # The blends after the i-th scale down all weights before them, which is compensated here.
    remaining = 1 - (weights.sum() - np.cumsum(weights))
    return [float(w / r) if r > 0 else 0.0 for w, r in zip(weights, remaining, strict=True)]
