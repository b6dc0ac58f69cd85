"""Top-1, top-5 and loss over a dataset, in which every image counts exactly once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindcv.errors import UserError

__all__ = ["EvalStep", "Evaluation", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation counted; the ratios are taken only here, at the end.

    Args:
        images: Number of images.
        top1: How many of them were classified correctly.
        top5: How many had their class among the five most probable ones.
        loss_sum: Sum of the images' losses.
    """

    images: int
    top1: int
    top5: int
    loss_sum: float

    @property
    def top1_accuracy(self) -> float:
        """Top-1 accuracy, from 0 to 1."""
        return self.top1 / self.images

    @property
    def top5_accuracy(self) -> float:
        """Top-5 accuracy, from 0 to 1."""
        return self.top5 / self.images

    @property
    def loss(self) -> float:
        """Mean loss of an image."""
        return self.loss_sum / self.images

    def __str__(self) -> str:
        return f"top-1 {self.top1_accuracy:.4f}  top-5 {self.top5_accuracy:.4f}  loss {self.loss:.4f}"


class EvalStep(nn.Cell):
    """Counts of one batch: never a mean, so that batches of any size add up exactly.

    Args:
        network: Takes a batch of images and returns logits of shape [N, num_classes].
        loss: Takes logits and labels and returns the loss of each image, shape [N].
    """

    def __init__(self, network: nn.Cell, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = loss

    def construct(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score one batch.

        Args:
            images: Shape [N, C, H, W].
            labels: Class indices of shape [N]; a negative one marks an image that only fills up the batch.

        Returns:
            The sum of the losses, and how many labels were among the first and the first five predictions.
            A label that shares its logit with others counts as ranked behind them, so that a network
            without an opinion, or one that returns NaN, scores nothing.
        """
        real = labels >= 0
        labels = ops.maximum(labels, ops.zeros_like(labels))
        logits = ops.cast(self.network(images), ms.float32)
        losses = ops.where(real, self.loss(logits, labels), ops.zeros((), ms.float32))
        target = ops.gather_elements(logits, 1, labels.expand_dims(1))
        counted = ops.logical_and(real, (target == target).squeeze(1))  # NaN equals nothing, itself included
        beaten = ops.cast(logits < target, ms.int32).sum(axis=1)
        classes = logits.shape[1]
        top1 = ops.cast(ops.logical_and(counted, beaten >= classes - 1), ms.int32).sum()
        top5 = ops.cast(ops.logical_and(counted, beaten >= classes - 5), ms.int32).sum()
        return losses.sum(), top1, top5


def evaluate(
    step: nn.Cell,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    batch_size: int,
    *,
    combine: Callable[[np.ndarray], np.ndarray] = lambda counts: counts,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Evaluation | None:
    """Score a network on a dataset.

    Args:
        step: An `EvalStep`.
        batches: Images of shape [n, C, H, W] and labels of shape [n] with n up to `batch_size`; one with
            a negative label does not count. A smaller batch is filled up with such images, so that the step
            compiles for one shape.
        batch_size: Images that the step takes at once.
        combine: Adds up the counts of all ranks; by default there is one.
        stop_requested: Looked at before each batch.

    Returns:
        The counts over all images of all ranks; None if any of them was asked to stop.

    Raises:
        UserError: If no image counts.
    """
    step.set_train(False)
    counts = np.zeros(5, np.float64)
    for images, labels in batches:
        if stop_requested():
            counts[4] = 1
            break
        missing = batch_size - len(labels)
        if missing:
            images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), images.dtype)])
            labels = np.concatenate([labels, np.full(missing, -1, labels.dtype)])
        loss, top1, top5 = step(Tensor(images), Tensor(labels))
        counts[:4] += (int((labels >= 0).sum()), int(top1), int(top5), float(loss))
    images_total, top1, top5, loss_sum, stopped = combine(counts)
    if stopped:
        return None
    if not images_total:
        raise UserError("no image could be read, so there is nothing to score: check data_dir and val_split")
    return Evaluation(images=int(images_total), top1=int(top1), top5=int(top5), loss_sum=float(loss_sum))
