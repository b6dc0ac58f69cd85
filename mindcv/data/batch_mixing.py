"""Mixup and CutMix: batches whose images are mixtures of two."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindcv.errors import UserError

__all__ = ["BatchMixer"]


class BatchMixer:
    """Mixes a batch with its images in reverse order, with one ratio per batch.

    Mixup (arXiv 1710.09412) adds lambda times one image and 1 - lambda times the other. CutMix (arXiv
    1905.04899) pastes a box of the other, 1 - lambda of the area. Lambda is drawn from Beta(alpha, alpha).
    The labels become probabilities in the same proportion. A batch may have any size; the middle image of an
    odd number is mixed with itself.

    Args:
        mixup_alpha: Alpha of mixup; 0 switches it off.
        cutmix_alpha: Alpha of CutMix; 0 switches it off.
        prob: Probability that a batch is mixed at all.
        switch_prob: Probability that a mixed batch gets CutMix rather than mixup, where both are on.
        num_classes: Outputs of the network.

    Raises:
        UserError: If a number is out of range.
    """

    def __init__(
        self,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        prob: float = 1.0,
        switch_prob: float = 0.5,
        *,
        num_classes: int,
    ) -> None:
        for name, alpha in (("mixup", mixup_alpha), ("cutmix", cutmix_alpha)):
            if not 0 <= alpha < math.inf:
                raise UserError(
                    f"{name}={alpha} is out of range: give 0 to switch it off, or the alpha of Beta, above 0"
                )
        for name, value in (("cutmix_prob", prob), ("mixup_switch_prob", switch_prob)):
            if not 0 <= value <= 1:
                raise UserError(f"{name}={value} must be a probability, from 0 to 1")
        self.mixup_alpha = mixup_alpha
        self.cutmix_alpha = cutmix_alpha
        self.prob = prob
        self.switch_prob = switch_prob
        self.num_classes = num_classes

    def __call__(
        self, images: NDArray[Any], labels: NDArray[Any], rng: np.random.Generator, mixed: bool = True
    ) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Mix a batch.

        Args:
            images: Images of shape ``[N, C, H, W]``: uint8 pixels, or floating-point numbers.
            labels: Labels of shape ``[N]``, or probabilities of shape ``[N, num_classes]``.
            rng: Random number generator.
            mixed: Whether the batch may be mixed; if not, its labels become probabilities all the same.

        Returns:
            Images of the same type, pixels rounded, and the probability of each class, of shape
            ``[N, num_classes]``.

        Raises:
            UserError: If a label is out of range.
        """
        certain = self._probabilities(labels)
        if not mixed or not self.mixup_alpha + self.cutmix_alpha or rng.random() >= self.prob:
            return images, certain
        if self._cuts(rng):
            images, share = _cut(images, rng.beta(self.cutmix_alpha, self.cutmix_alpha), rng)
        else:
            share = rng.beta(self.mixup_alpha, self.mixup_alpha)
            images = _blend(images, share)
        return images, np.float32(share) * certain + np.float32(1 - share) * certain[::-1]

    def _cuts(self, rng: np.random.Generator) -> bool:
        if self.mixup_alpha and self.cutmix_alpha:
            return rng.random() < self.switch_prob
        return self.cutmix_alpha > 0

    def _probabilities(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        if labels.ndim == 2:
            if labels.shape[1] != self.num_classes:
                raise UserError(
                    f"num_classes={self.num_classes} does not fit labels of {labels.shape[1]} classes: give "
                    f"num_classes={labels.shape[1]}"
                )
            return labels.astype(np.float32)
        if labels.min() < 0 or labels.max() >= self.num_classes:
            wrong = labels.min() if labels.min() < 0 else labels.max()
            raise UserError(f"num_classes={self.num_classes} has no label {wrong}: raise num_classes")
        certain = np.zeros((len(labels), self.num_classes), np.float32)
        certain[np.arange(len(labels)), labels] = 1
        return certain


def _blend(images: NDArray[Any], share: float) -> NDArray[Any]:
    mixture = np.empty_like(images)
    one, other = np.float32(share), np.float32(1 - share)
    for image, partner, out in zip(images, images[::-1], mixture, strict=True):  # in the processor's cache
        blend = one * image + other * partner
        if images.dtype == np.uint8:
            np.rint(blend, out=out, casting="unsafe")
        else:
            out[...] = blend
    return mixture


def _cut(images: NDArray[Any], share: float, rng: np.random.Generator) -> tuple[NDArray[Any], float]:
    """Paste boxes of the partners into images; return the fraction outside, as boxes may be clipped."""
    height, width = images.shape[-2:]
    rows = _side(height, share, rng)
    columns = _side(width, share, rng)
    mixture = images.copy()
    mixture[..., rows, columns] = images[::-1, ..., rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixture, 1 - area / (height * width)


def _side(size: int, share: float, rng: np.random.Generator) -> slice:
    """Draw one side of the box, around a centre anywhere in the image."""
    half = int(size * math.sqrt(1 - share)) // 2
    centre = int(rng.integers(size))
    return slice(max(centre - half, 0), min(centre + half, size))
