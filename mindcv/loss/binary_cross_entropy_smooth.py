"""Sigmoid cross entropy with label smoothing."""

import mindspore as ms
from mindspore import ops

from mindcv.loss.classification_loss import ClassificationLoss, ClassWeights, class_weights

__all__ = ["BinaryCrossEntropySmooth"]


class BinaryCrossEntropySmooth(ClassificationLoss):
    r"""Sigmoid cross entropy, computed for each class independently.

    With smoothing s the target of class c is :math:`t_c = (1 - s) p_c + s / C`, where p is the label's
    one-hot row or the given probabilities. The loss of sample and class is
    :math:`-w_c (q_c t_c \log \sigma(x_c) + (1 - t_c) \log(1 - \sigma(x_c)))`.

    ``mean`` averages over all N C elements, as `torch.nn.functional.binary_cross_entropy_with_logits`;
    ``sum`` adds them up; ``none`` returns them, [N, C]. A label out of range makes the loss NaN.

    Args:
        smoothing: The s above.
        aux_factor: Weight of the loss of each auxiliary output.
        reduction: ``mean``, ``sum`` or ``none``.
        weight: The w above, the weight of each class, [C].
        pos_weight: The q above, the weight of each class where the label has it, [C].
    """

    def __init__(
        self,
        smoothing: float = 0.0,
        aux_factor: float = 0.0,
        reduction: str = "mean",
        weight: ClassWeights = None,
        pos_weight: ClassWeights = None,
    ) -> None:
        super().__init__(smoothing, aux_factor, reduction, weight)
        self.pos_weight = None if pos_weight is None else class_weights(pos_weight)

    def single(self, logits, labels):
        """Return the loss of one output, [N, C]."""
        target = self.smoothed(self.probabilities(logits, labels))
        logits = logits.astype(ms.float32)
        # Not ops.logsigmoid, which is infinite at -90, nor max(x, 0) + log1p(exp(-|x|)), whose gradient
        # in MindSpore is 0 instead of 0.5 at x = 0.
        loss = ops.softplus(logits) - target * logits
        if self.pos_weight is not None:
            if self.pos_weight.shape[0] != logits.shape[1]:
                raise ValueError("the loss needs as many positive weights as the logits have classes")
            loss = loss + (self.pos_weight - 1) * target * ops.softplus(-logits)
        if self.weight is not None:
            loss = loss * self.weight
        return self.reduced(loss)
