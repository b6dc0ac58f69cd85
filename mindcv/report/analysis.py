"""Scores of a classification, class by class, from the labels and the predictions of its images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BINS",
    "Calibration",
    "ClassScores",
    "calibration",
    "class_scores",
    "confident_mistakes",
    "confused_pairs",
    "confusion_matrix",
]

BINS = 15  # of the reliability diagram, as in Guo et al. 2017


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassScores:
    """Counts of each class, int64 of shape ``[classes]``.

    Args:
        images: Images of the class.
        correct: Those of them that were predicted correctly.
        predicted: Images predicted as the class.
    """

    images: NDArray[np.int64]
    correct: NDArray[np.int64]
    predicted: NDArray[np.int64]


def class_scores(labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> ClassScores:
    """Count the images, the correct predictions and all predictions of each class.

    Args:
        labels: Labels of shape [N], from 0 to below `classes`.
        predicted: Predicted classes of shape [N].
        classes: Number of classes.
    """
    return ClassScores(
        images=np.bincount(labels, minlength=classes),
        correct=np.bincount(labels[labels == predicted], minlength=classes),
        predicted=np.bincount(predicted, minlength=classes),
    )


def confusion_matrix(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Return how often each class (row) was predicted as each class (column), int64 ``[classes, classes]``.

    See `class_scores` for the arguments. It takes 8 bytes per cell: `confused_pairs` is for many classes.
    """
    cells = labels.astype(np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def confused_pairs(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], limit: int
) -> list[tuple[int, int, int]]:
    """Return the most frequent mistakes as (label, predicted class, images), the most frequent one first.

    Pairs with equally many images are in the order of their classes.

    Args:
        labels: Labels of shape [N].
        predicted: Predicted classes of shape [N].
        limit: Pairs to return at most.
    """
    wrong = labels != predicted
    pairs = np.stack([labels[wrong], predicted[wrong]], axis=1).astype(np.int64)
    if not len(pairs):
        return []
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:limit]
    return [(int(found[i, 0]), int(found[i, 1]), int(counts[i])) for i in order]


def confident_mistakes(
    labels: NDArray[np.integer],
    predicted: NDArray[np.integer],
    confidences: NDArray[np.floating],
    limit: int,
) -> NDArray[np.int64]:
    """Return the places of the wrong predictions, the most confident ones first, int64."""
    (wrong,) = np.nonzero(labels != predicted)
    return wrong[np.argsort(-confidences[wrong], kind="stable")[:limit]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """How far the probabilities of the predictions can be trusted; arrays have an entry per bin.

    Args:
        counts: Images in the bin, int64.
        accuracies: Fraction of them that is correct; 0 in an empty bin.
        confidences: Mean probability of their predictions; 0 in an empty bin.
        ece: Expected calibration error, from 0 to 1.
    """

    counts: NDArray[np.int64]
    accuracies: NDArray[np.float64]
    confidences: NDArray[np.float64]
    ece: float


def calibration(
    confidences: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = BINS
) -> Calibration:
    """Compare probabilities with accuracies, in bins of equal width.

    Bin b of B holds the images with b / B < confidence <= (b + 1) / B; the first one holds 0 too. With n_b of
    the n images in bin b, their accuracy acc_b and their mean confidence conf_b, the expected calibration
    error is ::

        ECE = sum over b of n_b / n * |acc_b - conf_b|

    (Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, 2017, equation 3.)

    Args:
        confidences: Probability of the predicted class of each image, from 0 to 1, shape [N].
        correct: Whether the prediction is correct, shape [N].
        bins: Number of bins.
    """
    values = confidences.astype(np.float64)
    edges = np.arange(1, bins) / bins
    places = np.searchsorted(edges, values, side="left")
    counts = np.bincount(places, minlength=bins)
    filled = np.maximum(counts, 1)
    accuracies = np.bincount(places, weights=correct, minlength=bins) / filled
    means = np.bincount(places, weights=values, minlength=bins) / filled
    ece = float((counts * np.abs(accuracies - means)).sum() / max(len(values), 1))
    return Calibration(counts=counts, accuracies=accuracies, confidences=means, ece=ece)
