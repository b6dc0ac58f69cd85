"""Asymmetric losses, which give the many classes that an image does not have less weight."""

import mindspore as ms
from mindspore import ops

from mindcv.errors import UserError
from mindcv.loss.classification_loss import ClassificationLoss

__all__ = ["AsymmetricLossMultilabel", "AsymmetricLossSingleLabel"]


class AsymmetricLossMultilabel(ClassificationLoss):
    r"""Asymmetric loss (Ben-Baruch et al. 2020, arXiv 2009.14119) for images with any number of labels.

    With :math:`p = \sigma(x)` and :math:`q = \max(p - m, 0)` the loss of a class that the image has is
    :math:`-(1 - p)^{\gamma_+} \log p`, that of another class :math:`-q^{\gamma_-} \log(1 - q)`. The loss of a
    sample is the sum over the classes.

    Args:
        gamma_neg: Exponent of the negative classes.
        gamma_pos: Exponent of the positive classes.
        clip: The m above: a negative class with a probability below it has no loss; 0 or None for none.
        eps: Lower limit of the probabilities under a logarithm.
        reduction: ``sum`` and ``mean`` over the samples, or ``none``.
        smoothing: Fraction of the target that is spread evenly over all classes.
        aux_factor: Weight of the loss of each auxiliary output.
    """

    def __init__(
        self,
        gamma_neg: float = 4,
        gamma_pos: float = 1,
        clip: float | None = 0.05,
        eps: float = 1e-8,
        *,
        reduction: str = "sum",
        smoothing: float = 0.0,
        aux_factor: float = 0.0,
    ) -> None:
        super().__init__(smoothing, aux_factor, reduction)
        _check_exponents(gamma_pos, gamma_neg)
        self.gamma_neg = gamma_neg
        self.gamma_pos = gamma_pos
        self.clip = clip or 0.0
        self.eps = eps

    def single(self, logits, labels):
        """Return the loss of one output, [N, C]."""
        target = self.smoothed(self.probabilities(logits, labels))
        logits = logits.astype(ms.float32)
        positive, negative = ops.sigmoid(logits), ops.sigmoid(-logits)  # 1 - positive has no digits near 1
        shown = ops.maximum(positive - self.clip, 0.0)
        loss = target * ops.log(ops.maximum(positive, self.eps))
        loss = loss + (1 - target) * ops.log(ops.maximum(ops.minimum(negative + self.clip, 1.0), self.eps))
        weight = _weight(target, negative, shown, self.gamma_pos, self.gamma_neg)
        return self.reduced(-(weight * loss).sum(axis=1))


class AsymmetricLossSingleLabel(ClassificationLoss):
    r"""Asymmetric loss (arXiv 2009.14119) over a softmax, for images with one label.

    With p the softmax of the logits and t the smoothed target, the loss of a sample is
    :math:`-\sum_c t_c w_c \log p_c`, where :math:`w_c = (1 - p_c)^{\gamma_+}` for the label and
    :math:`p_c^{\gamma_-}` for the other classes.

    Args:
        gamma_pos: Exponent of the label.
        gamma_neg: Exponent of the other classes.
        eps: Not needed: `smoothing` is the fraction that the authors' code calls eps.
        reduction: ``mean`` and ``sum`` over the samples, or ``none``.
        smoothing: Fraction of the target that is spread evenly over all classes.
        aux_factor: Weight of the loss of each auxiliary output.
    """

    def __init__(
        self,
        gamma_pos: float = 1,
        gamma_neg: float = 4,
        eps: float = 0.1,
        reduction: str = "mean",
        smoothing: float = 0.1,
        *,
        aux_factor: float = 0.0,
    ) -> None:
        super().__init__(smoothing, aux_factor, reduction)
        _check_exponents(gamma_pos, gamma_neg)
        self.gamma_pos = gamma_pos
        self.gamma_neg = gamma_neg

    def single(self, logits, labels):
        """Return the loss of one output, [N, C]."""
        target = self.probabilities(logits, labels)
        log_p = ops.log_softmax(logits.astype(ms.float32), -1)
        p = ops.exp(log_p)
        weight = _weight(target, 1 - p, p, self.gamma_pos, self.gamma_neg)
        return self.reduced(-(self.smoothed(target) * weight * log_p).sum(axis=1))


def _weight(target, of_positive, of_negative, gamma_pos, gamma_neg):
    base = target * of_positive + (1 - target) * of_negative
    exponent = gamma_pos * target + gamma_neg * (1 - target)
    return ops.pow(ops.maximum(base, 1e-12), exponent)  # at 0 the gradient of a power below 1 is infinite


def _check_exponents(gamma_pos: float, gamma_neg: float) -> None:
    if gamma_pos < 0 or gamma_neg < 0:
        raise UserError(f"gamma_pos={gamma_pos} and gamma_neg={gamma_neg} must be exponents of 0 or more")
