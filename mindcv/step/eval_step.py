"""The evaluation step: counts of one batch, computed on the device."""

import mindspore as ms
from mindspore import Tensor, nn, ops

__all__ = ["EvalStep"]


class EvalStep(nn.Cell):
    """Scores one batch in counts, not means, so that batches of any size add up exactly.

    Args:
        network: Takes a batch of images and returns logits of shape [N, num_classes].
        loss: Takes logits and labels and returns the loss of each image, shape [N], or of each image and
            class, [N, C], of which the mean over the classes counts.
        with_logits: Return the logits, too.
    """

    def __init__(self, network: nn.Cell, loss: nn.Cell, *, with_logits: bool = False) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = loss
        self.with_logits = with_logits

    def construct(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Count the correct predictions of one batch.

        Args:
            images: Shape [N, C, H, W].
            labels: Class indices of shape [N]; a negative one marks an image that only pads the batch.

        Returns:
            The sum of the losses, and the numbers of labels that are the first and among the first five
            predictions. A label whose logit equals others ranks behind them, so that a network whose logits
            are all equal, or NaN, scores nothing. With `with_logits`, the logits follow, float32 of shape
            [N, num_classes].
        """
        real = labels >= 0
        labels = ops.maximum(labels, ops.zeros_like(labels))
        logits = ops.cast(self.network(images), ms.float32)
        losses = self.loss(logits, labels)
        if losses.ndim == 2:
            losses = losses.mean(axis=1)
        losses = ops.where(real, losses, ops.zeros((), ms.float32))
        target = ops.gather_elements(logits, 1, labels.expand_dims(1))
        counted = ops.logical_and(real, (target == target).squeeze(1))  # NaN equals nothing, itself included
        beaten = ops.cast(logits < target, ms.int32).sum(axis=1)
        classes = logits.shape[1]
        top1 = ops.cast(ops.logical_and(counted, beaten >= classes - 1), ms.int32).sum()
        top5 = ops.cast(ops.logical_and(counted, beaten >= classes - 5), ms.int32).sum()
        if self.with_logits:
            return losses.sum(), top1, top5, logits
        return losses.sum(), top1, top5
