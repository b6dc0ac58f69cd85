"""Mixup and CutMix of one batch, under MindCV's name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from mindcv.data.batch_mixing import BatchMixer
from mindcv.errors import UserError

__all__ = ["Mixup"]

Array = Tensor | NDArray[Any]


class Mixup:
    """Mixes a batch with its images in reverse order, see `BatchMixer`; numbers are drawn from NumPy's state.

    Args:
        mixup_alpha: Alpha of mixup; 0 switches it off.
        cutmix_alpha: Alpha of CutMix; 0 switches it off.
        cutmix_minmax: Not supported: CutMix draws its boxes by `cutmix_alpha`.
        prob: Probability that a batch is mixed at all.
        switch_prob: Probability that a mixed batch gets CutMix rather than mixup, where both are on.
        mode: ``batch``: one ratio for the images of a batch.
        correct_lam: Not needed: labels always have the proportion of the box that is in the image.
        label_smoothing: Share of the probability that is spread over all classes, in [0, 1].
        num_classes: Number of classes.

    Raises:
        UserError: A number is out of range, mixup and CutMix are both off, or an option is not supported.
    """

    def __init__(
        self,
        mixup_alpha: float = 1.0,
        cutmix_alpha: float = 0.0,
        cutmix_minmax: Sequence[float] | None = None,
        prob: float = 1.0,
        switch_prob: float = 0.5,
        mode: str = "batch",
        correct_lam: bool = True,
        label_smoothing: float = 0.1,
        num_classes: int = 1000,
    ) -> None:
        if cutmix_minmax is not None:
            raise UserError(f"cutmix_minmax={cutmix_minmax} is not supported: give cutmix_alpha")
        if mode != "batch":
            raise UserError(f"mode={mode!r} is not supported: give 'batch'")
        if not mixup_alpha and not cutmix_alpha:
            raise UserError("mixup_alpha=0 and cutmix_alpha=0 mix nothing: give one of them above 0")
        if not 0 <= label_smoothing <= 1:
            raise UserError(f"label_smoothing={label_smoothing} is out of range: give a fraction from 0 to 1")
        self.label_smoothing = label_smoothing
        self.num_classes = num_classes
        self.mixer = BatchMixer(mixup_alpha, cutmix_alpha, prob, switch_prob, num_classes=num_classes)

    def __call__(self, x: Array, target: Array) -> tuple[Array, NDArray[np.float32]]:
        """Mix a batch.

        Args:
            x: Images of shape ``[N, C, H, W]``.
            target: Labels of shape ``[N]``.

        Returns:
            Images, a tensor where they were one, and the probability of each class, float32
            ``[N, num_classes]``.
        """
        images, labels = _array(x), _array(target)
        random = np.random.default_rng(np.random.randint(0, 2**31, 4))
        images, certain = self.mixer(images, labels, random)
        smoothing = np.float32(self.label_smoothing)
        probabilities = certain * (1 - smoothing) + smoothing / self.num_classes
        return Tensor(images) if isinstance(x, Tensor) else images, probabilities


def _array(values: Array) -> NDArray[Any]:
    return values if isinstance(values, np.ndarray) else values.asnumpy()
