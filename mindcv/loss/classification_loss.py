"""Base of the losses: targets, smoothing, auxiliary outputs and the checks of shapes."""

from collections.abc import Sequence
from typing import get_args

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindcv.choices import Reduction
from mindcv.errors import UserError, did_you_mean

__all__ = ["ClassWeights", "ClassificationLoss", "class_weights"]

REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)

ClassWeights = Tensor | np.ndarray | Sequence[float] | None


class ClassificationLoss(nn.Cell):
    """Base of the losses.

    Args:
        smoothing: Fraction of the target that is spread evenly over all classes, 0 to 1.
        aux_factor: Weight of the loss of each auxiliary output.
        reduction: ``mean``, ``sum`` or ``none``.
        weight: Weight of each class, [C].

    Raises:
        UserError: A reduction is unknown, or a number is out of range.
    """

    def __init__(
        self,
        smoothing: float = 0.0,
        aux_factor: float = 0.0,
        reduction: str = "mean",
        weight: ClassWeights = None,
    ) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            hint = did_you_mean(str(reduction), REDUCTIONS) or f": choose one of {', '.join(REDUCTIONS)}"
            raise UserError(f"reduction '{reduction}' is unknown{hint}")
        if not 0 <= smoothing <= 1:
            raise UserError(f"label_smoothing={smoothing} is out of range: give a fraction from 0 to 1")
        if not 0 <= aux_factor < float("inf"):
            raise UserError(f"aux_factor={aux_factor} is out of range: give 0 or more")
        self.weight = None if weight is None else class_weights(weight)
        self.reduction = reduction
        self.smoothing = smoothing
        self.aux_factor = aux_factor

    def construct(self, logits, labels):
        """Return the loss of the main output, plus ``aux_factor`` times that of each auxiliary output."""
        if not isinstance(logits, (tuple, list)):
            return self.single(logits, labels)
        loss = self.single(logits[0], labels)
        if self.aux_factor > 0:
            for auxiliary in logits[1:]:
                loss = loss + self.aux_factor * self.single(auxiliary, labels)
        return loss

    def single(self, logits, labels):
        """Return the loss of one output, [N, C]."""
        raise NotImplementedError

    def probabilities(self, logits, labels):
        """Return the labels as float32 probabilities [N, C], before smoothing."""
        if logits.ndim != 2:
            raise ValueError("the loss expects logits of shape [N, C]")
        if self.weight is not None and self.weight.shape[0] != logits.shape[1]:
            raise ValueError("the loss needs as many class weights as the logits have classes")
        if labels.ndim == 2:
            if labels.shape != logits.shape:
                raise ValueError("probabilities as labels need the shape of the logits, [N, C]")
            return labels.astype(ms.float32)
        if labels.shape != logits.shape[:1]:
            raise ValueError("class indices as labels need the shape [N], one for each row of the logits")
        hot = (labels.expand_dims(1) == ops.arange(logits.shape[1])).astype(ms.float32)
        # 1, but 0 if the label is out of range: then the row and the loss become NaN.
        return hot / hot.sum(axis=1, keepdims=True)

    def smoothed(self, target):
        """Move the smoothed fraction of each row evenly to all classes."""
        if self.smoothing == 0:
            return target
        return target * (1 - self.smoothing) + self.smoothing / target.shape[1]

    def reduced(self, loss):
        """Reduce the losses of the samples, [N], or of samples and classes, [N, C]."""
        if self.reduction == "none":
            return loss
        return loss.sum() if self.reduction == "sum" else loss.mean()


def class_weights(weight: Tensor | np.ndarray | Sequence[float]) -> Tensor:
    """Check the weights of classes and return them as a float32 tensor [C].

    Raises:
        UserError: They are not a list of numbers of 0 or more.
    """
    values = np.asarray(weight, np.float32)
    if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise UserError("weight must be a list of class weights: give one number of 0 or more for each class")
    return Tensor(values)
