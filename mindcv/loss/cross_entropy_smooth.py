"""Softmax cross entropy with label smoothing."""

import mindspore as ms
from mindspore import ops

from mindcv.loss.classification_loss import ClassificationLoss

__all__ = ["CrossEntropySmooth"]


class CrossEntropySmooth(ClassificationLoss):
    r"""Softmax cross entropy, with the meaning of `torch.nn.functional.cross_entropy`.

    With smoothing s the target of class c is :math:`t_c = (1 - s) p_c + s / C`, where p is the label's
    one-hot row or the given probabilities (Szegedy et al. 2016, arXiv 1512.00567). The loss of a sample is
    :math:`-\sum_c w_c t_c \log \mathrm{softmax}(x)_c`.

    ``mean`` averages over the samples, weighted by the class weight of each label where labels are indices
    and ``weight`` is given; ``sum`` adds up; ``none`` returns one loss per sample. A label out of range makes
    the loss NaN.

    Args:
        smoothing: The s above.
        aux_factor: Weight of the loss of each auxiliary output.
        reduction: ``mean``, ``sum`` or ``none``.
        weight: Weight of each class, [C].
    """

    def single(self, logits, labels):
        """Return the loss of one output, [N, C]."""
        probabilities = self.probabilities(logits, labels)
        target = self.smoothed(probabilities)
        if self.weight is not None:
            target = target * self.weight
        loss = -(target * ops.log_softmax(logits.astype(ms.float32), -1)).sum(axis=1)
        if self.reduction == "mean" and self.weight is not None and labels.ndim == 1:
            return loss.sum() / (probabilities * self.weight).sum()
        return self.reduced(loss)
