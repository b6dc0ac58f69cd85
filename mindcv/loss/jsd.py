"""Cross entropy with the Jensen-Shannon divergence between copies of an image."""

import mindspore as ms
from mindspore import ops

from mindcv.errors import UserError
from mindcv.loss.classification_loss import ClassificationLoss, ClassWeights
from mindcv.loss.cross_entropy_smooth import CrossEntropySmooth

__all__ = ["JSDCrossEntropy"]


class JSDCrossEntropy(ClassificationLoss):
    r"""Cross entropy of the clean images, and divergence between them and their augmented copies.

    A batch holds all clean images, then all first copies and so on, as ``create_loader(separate=True)`` makes
    them. With the class probabilities :math:`p_k` of copy k of n and their mean :math:`m`, the loss is
    :math:`\mathrm{CE}(p_1) + \frac{\alpha}{n} \sum_k \mathrm{KL}(p_k \| m)`, the second part averaged over
    the images (AugMix, Hendrycks et al. 2019, arXiv 1912.02781). Outside of training (`set_train`) it is the
    cross entropy of all images, as in MindCV, since images are then not copied.

    Args:
        num_splits: Copies of each image, the clean one included: the n above.
        alpha: Weight of the divergence.
        smoothing: Label smoothing of the cross entropy.
        weight: Weight of each class in the cross entropy, [C].
        reduction: ``mean``, ``sum`` or ``none``, of the cross entropy; the divergence is added as it is.
        aux_factor: Weight of the loss of each auxiliary output.

    Raises:
        UserError: A number is out of range.
    """

    def __init__(
        self,
        num_splits: int = 3,
        alpha: float = 12,
        smoothing: float = 0.1,
        weight: ClassWeights = None,
        reduction: str = "mean",
        aux_factor: float = 0.0,
    ) -> None:
        super().__init__(smoothing, aux_factor, reduction)
        if num_splits < 2 or not 0 <= alpha < float("inf"):
            raise UserError(f"num_splits={num_splits} and alpha={alpha}: give 2 or more, and 0 or more")
        self.num_splits = num_splits
        self.alpha = alpha
        self.cross_entropy = CrossEntropySmooth(smoothing, 0.0, reduction, weight)

    def single(self, logits, labels):
        """Return the loss of one output, [N, C], in training N a multiple of the number of copies."""
        if not self.training:
            return self.cross_entropy(logits, labels)
        if logits.shape[0] % self.num_splits:
            raise ValueError("the batch does not divide into copies: use create_loader(separate=True)")
        images = logits.shape[0] // self.num_splits
        loss = self.cross_entropy(logits[:images], labels[:images])
        logits = logits.astype(ms.float32).reshape((self.num_splits, images, logits.shape[1]))
        log_p = ops.log_softmax(logits, -1)
        p = ops.exp(log_p)
        log_mean = ops.log(ops.clamp(p.mean(axis=0), 1e-7, 1.0))
        divergence = (p * (log_p - log_mean)).sum() / images
        return loss + self.alpha / self.num_splits * divergence
