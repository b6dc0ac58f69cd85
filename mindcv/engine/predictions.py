"""The predictions of a network for each image of an evaluation, in a few bytes per image."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PredictionRecorder", "Predictions"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """The predictions of one evaluation, an entry per image: 50,000 images take 1 MB, whatever the classes.

    Args:
        indices: Number of each image in its dataset, int64.
        labels: Its label, int32.
        predicted: Its most probable class, int32; where other classes are as probable as the label, one of
            them, as in the top-1 accuracy.
        confidences: Probability (softmax) of that class, float32; 0 where it is not a number.
        in_top5: Whether the label is among the five most probable classes.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int32]
    predicted: NDArray[np.int32]
    confidences: NDArray[np.float32]
    in_top5: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)


class PredictionRecorder:
    """Keeps the predictions of the evaluation that ran last; `add` is the ``observe`` of `evaluate`.

    Args:
        indices: Number in the dataset of each image that this rank evaluates, in their order.
        total: Images in the dataset.
    """

    def __init__(self, indices: NDArray[np.int64], total: int) -> None:
        self._indices = indices
        self._total = total
        self._rows: list[NDArray[np.float64]] = []

    def begin(self) -> None:
        """Forget the predictions so far: an evaluation begins."""
        self._rows = []

    def add(self, labels: NDArray[np.int32], logits: NDArray[np.float32]) -> None:
        """Keep the predictions for a batch.

        Args:
            labels: Labels of shape [N]; an image with a negative one could not be read.
            logits: Logits of shape [N, num_classes].
        """
        self._rows.append(summarize_logits(labels, logits))

    def recorded(self) -> NDArray[np.float64]:
        """Return the predictions of this rank's images for `gather`, float64 of shape [images, 5]."""
        return np.concatenate(self._rows) if self._rows else np.zeros((0, 5))

    def gather(
        self,
        recorded: NDArray[np.float64],
        combine: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda values: values,
    ) -> Predictions:
        """Return the predictions for the images of all ranks, in the dataset's order; on all ranks alike.

        Args:
            recorded: From `recorded`.
            combine: Adds up arrays over all ranks; by default there is one rank.
        """
        table = np.zeros((self._total, 5))
        table[self._indices[: len(recorded)]] = recorded
        table = combine(table.reshape(-1)).reshape(table.shape)
        (indices,) = np.nonzero(table[:, 0])  # the others were not evaluated, or could not be read
        _, labels, predicted, confidences, in_top5 = table[indices].T
        return Predictions(
            indices=indices.astype(np.int64),
            labels=labels.astype(np.int32),
            predicted=predicted.astype(np.int32),
            confidences=confidences.astype(np.float32),
            in_top5=in_top5 > 0,
        )


def summarize_logits(labels: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Reduce logits to five numbers per image; the ranking is that of `mindcv.step.EvalStep`.

    Args:
        labels: Labels of shape [N]; a negative one excludes the image.
        logits: Logits of shape [N, num_classes].

    Returns:
        Whether the image counts, label, predicted class, its probability, and whether the label is among the
        first five; float64 of shape [N, 5].
    """
    rows, classes = np.arange(len(labels)), logits.shape[1]
    known = np.maximum(labels, 0)
    target = logits[rows, known]
    beaten = (logits < target[:, None]).sum(axis=1)
    counted = (labels >= 0) & ~np.isnan(target)
    others = np.where(np.isnan(logits), -np.inf, logits)
    peak = others.max(axis=1, keepdims=True)
    others[rows, known] = -np.inf  # the label must be ahead of all others
    predicted = np.where(counted & (beaten >= classes - 1), known, others.argmax(axis=1))
    with np.errstate(invalid="ignore", over="ignore"):
        shares = np.exp(logits - peak, dtype=np.float64)
        confidences = np.nan_to_num(shares[rows, predicted] / shares.sum(axis=1), nan=0.0, posinf=0.0)
    in_top5 = counted & (beaten >= classes - 5)
    row = (labels >= 0, known, predicted, confidences, in_top5)
    return np.stack([values.astype(np.float64) for values in row], axis=1)
