"""Classification losses: cross entropy and binary cross entropy, on class indices or probabilities."""

from collections.abc import Sequence
from typing import get_args

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindcv.choices import LossName, Reduction
from mindcv.errors import UserError, did_you_mean

__all__ = ["BinaryCrossEntropy", "CrossEntropy", "create_loss"]

REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)


def create_loss(
    name: str = "CE",
    weight: Tensor | np.ndarray | Sequence[float] | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    aux_factor: float = 0.0,
) -> nn.Cell:
    """Create a loss that is called as ``loss(logits, labels)``.

    Args:
        name: ``CE`` for `CrossEntropy`, ``BCE`` for `BinaryCrossEntropy`; upper or lower case.
        weight: Weight of each class, [C].
        reduction: ``mean``, ``sum`` or ``none``; see the loss's class for what each averages over.
        label_smoothing: Fraction of the target that is spread evenly over all classes, 0 to 1.
        aux_factor: Weight of the loss of each auxiliary output of the model.

    Returns:
        A cell. Its ``logits`` are [N, C], or a tuple (main, auxiliary...) of such; its ``labels`` are class
        indices [N] or probabilities [N, C]. The result is a float32 scalar, or [N] for ``none``.

    Raises:
        UserError: A name, a reduction or a number that is out of range.
    """
    losses = {"ce": CrossEntropy, "bce": BinaryCrossEntropy}
    if name.lower() not in losses:
        names = get_args(LossName)
        hint = did_you_mean(name.upper(), names) or f": choose {' or '.join(names)}"
        raise UserError(f"loss '{name}' is unknown{hint}")
    return losses[name.lower()](
        weight=weight, reduction=reduction, label_smoothing=label_smoothing, aux_factor=aux_factor
    )


class _ClassificationLoss(nn.Cell):
    """Base of both losses: targets, smoothing, auxiliary outputs and the checks of shapes.

    Args:
        weight: Weight of each class, [C].
        reduction: ``mean``, ``sum`` or ``none``.
        label_smoothing: Fraction of the target that is spread evenly over all classes.
        aux_factor: Weight of the loss of each auxiliary output.
    """

    def __init__(
        self,
        *,
        weight: Tensor | np.ndarray | Sequence[float] | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        aux_factor: float = 0.0,
    ) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            hint = did_you_mean(reduction, REDUCTIONS) or f": choose one of {', '.join(REDUCTIONS)}"
            raise UserError(f"reduction '{reduction}' is unknown{hint}")
        if not 0 <= label_smoothing <= 1:
            raise UserError(f"label_smoothing={label_smoothing} is out of range: give a fraction from 0 to 1")
        if not 0 <= aux_factor < float("inf"):
            raise UserError(f"aux_factor={aux_factor} is out of range: give 0 or more")
        self.weight = None if weight is None else _class_weights(weight)
        self.reduction = reduction
        self.label_smoothing = label_smoothing
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
        """Move ``label_smoothing`` of each row evenly to all classes."""
        if self.label_smoothing == 0:
            return target
        return target * (1 - self.label_smoothing) + self.label_smoothing / target.shape[1]


class CrossEntropy(_ClassificationLoss):
    r"""Softmax cross entropy, with the meaning of `torch.nn.functional.cross_entropy`.

    With smoothing s the target of class c is :math:`t_c = (1 - s) p_c + s / C`, where p is the label's
    one-hot row or the given probabilities (Szegedy et al. 2016, arXiv 1512.00567). The loss of a sample is
    :math:`-\sum_c w_c t_c \log \mathrm{softmax}(x)_c`.

    ``mean`` averages over the samples, weighted by the class weight of each label where labels are indices
    and ``weight`` is given; ``sum`` adds up; ``none`` returns one loss per sample. A label out of range makes
    the loss NaN.

    Args:
        weight: Weight of each class, [C].
        reduction: ``mean``, ``sum`` or ``none``.
        label_smoothing: The s above.
        aux_factor: Weight of the loss of each auxiliary output.
    """

    def single(self, logits, labels):
        """Return the loss of one output, [N, C]."""
        probabilities = self.probabilities(logits, labels)
        target = self.smoothed(probabilities)
        if self.weight is not None:
            target = target * self.weight
        loss = -(target * ops.log_softmax(logits.astype(ms.float32), -1)).sum(axis=1)
        if self.reduction == "none":
            return loss
        if self.reduction == "sum":
            return loss.sum()
        if self.weight is not None and labels.ndim == 1:
            return loss.sum() / (probabilities * self.weight).sum()
        return loss.mean()


class BinaryCrossEntropy(_ClassificationLoss):
    r"""Sigmoid cross entropy, computed for each class independently.

    With smoothing s the target of class c is :math:`t_c = (1 - s) p_c + s / C`, where p is the label's
    one-hot row or the given probabilities. The loss of sample and class is
    :math:`w_c (\log(1 + e^{x_c}) - t_c x_c)`, which equals
    :math:`-w_c (t_c \log \sigma(x_c) + (1 - t_c) \log(1 - \sigma(x_c)))`.

    ``mean`` averages over all N C elements, as `torch.nn.functional.binary_cross_entropy_with_logits`;
    ``sum`` adds them up; ``none`` averages over the classes and returns one loss per sample, so that its mean
    is ``mean``. A label out of range makes the loss NaN.

    Args:
        weight: Weight of each class, [C].
        reduction: ``mean``, ``sum`` or ``none``.
        label_smoothing: The s above.
        aux_factor: Weight of the loss of each auxiliary output.
    """

    def single(self, logits, labels):
        """Return the loss of one output, [N, C]."""
        target = self.smoothed(self.probabilities(logits, labels))
        logits = logits.astype(ms.float32)
        # Not ops.logsigmoid, which is infinite at -90, nor max(x, 0) + log1p(exp(-|x|)), whose gradient
        # in MindSpore is 0 instead of 0.5 at x = 0.
        loss = ops.softplus(logits) - target * logits
        if self.weight is not None:
            loss = loss * self.weight
        if self.reduction == "none":
            return loss.mean(axis=1)
        if self.reduction == "sum":
            return loss.sum()
        return loss.mean()


def _class_weights(weight: Tensor | np.ndarray | Sequence[float]) -> Tensor:
    """Check the class weights and return them as a float32 tensor [C]."""
    values = np.asarray(weight, np.float32)
    if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise UserError("weight must be a list of class weights: give one number of 0 or more for each class")
    return Tensor(values)
