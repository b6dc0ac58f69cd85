"""Top-1, top-5 and loss over a dataset, in which every image counts exactly once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from mindspore import Tensor, nn

__all__ = ["Evaluation", "evaluate"]


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


def evaluate(
    step: nn.Cell,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    batch_size: int,
    *,
    combine: Callable[[np.ndarray], np.ndarray] = lambda counts: counts,
) -> Evaluation:
    """Score a network on a dataset.

    Args:
        step: An `EvalStep`.
        batches: Images of shape [n, C, H, W] and labels of shape [n] with n up to `batch_size`. A smaller
            batch is filled up with images that do not count, so that the step compiles for one shape.
        batch_size: Images that the step takes at once.
        combine: Adds up the counts of all ranks; by default there is one.

    Returns:
        The counts over all images of all ranks.
    """
    step.set_train(False)
    counts = np.zeros(4, np.float64)
    for images, labels in batches:
        missing = batch_size - len(labels)
        if missing:
            images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), images.dtype)])
            labels = np.concatenate([labels, np.full(missing, -1, labels.dtype)])
        loss, top1, top5 = step(Tensor(images), Tensor(labels))
        counts += (batch_size - missing, int(top1), int(top5), float(loss))
    images_total, top1, top5, loss_sum = combine(counts)
    return Evaluation(images=int(images_total), top1=int(top1), top5=int(top5), loss_sum=float(loss_sum))
