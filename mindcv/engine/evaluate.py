"""Top-1, top-5 and loss over a dataset, in which every image counts exactly once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from mindspore import Tensor, nn

from mindcv.errors import UserError

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Counts of an evaluation; ratios are taken only here, at the end.

    Args:
        images: Number of images.
        top1: Number of images classified correctly.
        top5: Number of images whose class is among the five most probable ones.
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
        """Mean loss per image."""
        return self.loss_sum / self.images

    def __str__(self) -> str:
        return f"top-1 {self.top1_accuracy:.4f}  top-5 {self.top5_accuracy:.4f}  loss {self.loss:.4f}"


def evaluate(
    step: nn.Cell,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    batch_size: int,
    *,
    combine: Callable[[np.ndarray], np.ndarray] = lambda counts: counts,
    stop_requested: Callable[[], bool] = lambda: False,
    observe: Callable[[np.ndarray, np.ndarray], None] | None = None,
) -> Evaluation | None:
    """Score a network on a dataset; every image counts exactly once.

    Args:
        step: An `EvalStep`.
        batches: Images of shape [n, C, H, W] and labels of shape [n] with n up to `batch_size`. An image with
            a negative label does not count. A smaller batch is padded with such images, so that the step
            compiles for one shape.
        batch_size: Number of images that the step takes.
        combine: Adds up the counts of all ranks; by default there is one rank.
        stop_requested: Called before each batch.
        observe: Receives the labels and the logits of each batch, without those that only pad it; `step` must
            return the logits.

    Returns:
        The counts over all images of all ranks; None if any rank was asked to stop.

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
        loss, top1, top5, *logits = step(Tensor(images), Tensor(labels))
        counts[:4] += (int((labels >= 0).sum()), int(top1), int(top5), float(loss))
        if observe is not None:
            count = batch_size - missing
            observe(labels[:count], logits[0].asnumpy()[:count])
    images_total, top1, top5, loss_sum, stopped = combine(counts)
    if stopped:
        return None
    if not images_total:
        raise UserError("no image could be read, so there is nothing to score: check data_dir and val_split")
    return Evaluation(images=int(images_total), top1=int(top1), top5=int(top5), loss_sum=float(loss_sum))
