"""Scores of a classification against scikit-learn and against plain loops."""

import numpy as np
import pytest
from sklearn import metrics

from mindcv.report.analysis import (
    calibration,
    class_scores,
    confident_mistakes,
    confused_pairs,
    confusion_matrix,
)

SIZES = [(1, 2), (7, 2), (9, 3), (64, 10), (5_003, 100), (100_003, 1000)]


def sample(count: int, classes: int):
    rng = np.random.default_rng(count)
    labels = rng.integers(0, classes, count).astype(np.int32)
    wrong = rng.random(count) < 0.3
    predicted = np.where(wrong, rng.integers(0, classes, count), labels).astype(np.int32)
    return labels, predicted, rng.random(count).astype(np.float32)


@pytest.mark.parametrize(("count", "classes"), SIZES)
def test_counts_of_classes_are_those_of_scikit_learn(count, classes):
    labels, predicted, _ = sample(count, classes)
    every = range(classes)
    scores = class_scores(labels, predicted, classes)
    expected = metrics.confusion_matrix(labels, predicted, labels=every)
    np.testing.assert_array_equal(confusion_matrix(labels, predicted, classes), expected)
    np.testing.assert_array_equal(scores.images, expected.sum(axis=1))
    np.testing.assert_array_equal(scores.predicted, expected.sum(axis=0))
    np.testing.assert_array_equal(scores.correct, expected.diagonal())
    found = scores.correct / np.maximum(scores.images, 1)
    recall = metrics.recall_score(labels, predicted, labels=every, average=None, zero_division=0)
    np.testing.assert_allclose(found, recall, rtol=1e-12)


@pytest.mark.parametrize(("count", "classes"), SIZES)
def test_confused_pairs_are_the_cells_beside_the_diagonal_in_falling_order(count, classes):
    labels, predicted, _ = sample(count, classes)
    matrix = confusion_matrix(labels, predicted, classes)
    np.fill_diagonal(matrix, 0)
    cells = [(-matrix[a, b], a, b) for a, b in zip(*np.nonzero(matrix), strict=True)]
    expected = [(a, b, -n) for n, a, b in sorted(cells)]
    assert confused_pairs(labels, predicted, 10**6) == expected
    assert confused_pairs(labels, predicted, 3) == expected[:3]


def test_a_perfect_network_confuses_nothing():
    labels = np.arange(5, dtype=np.int32)
    assert confused_pairs(labels, labels, 10) == []
    assert confident_mistakes(labels, labels, np.ones(5, np.float32), 10).tolist() == []


def test_the_most_confident_mistakes_come_first_and_equals_stay_in_order():
    labels = np.array([0, 1, 2, 3, 4])
    predicted = np.array([0, 2, 1, 0, 0])
    confidences = np.array([0.99, 0.5, 0.9, 0.5, 0.95])
    assert confident_mistakes(labels, predicted, confidences, 3).tolist() == [4, 2, 1]
    assert confident_mistakes(labels, predicted, confidences, 9).tolist() == [4, 2, 1, 3]


def expected_calibration_error(confidences, correct, bins: int) -> float:
    """Equation 3 of Guo et al. 2017, written bin by bin."""
    error = 0.0
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        inside = (confidences > low) & (confidences <= high)
        if b == 0:
            inside |= confidences == 0
        if inside.any():
            error += inside.mean() * abs(correct[inside].mean() - confidences[inside].mean())
    return error


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 64, 100_003])
def test_the_calibration_error_is_that_of_the_paper(count, bins):
    rng = np.random.default_rng(count)
    confidences = rng.random(count)
    correct = rng.random(count) < confidences**2
    found = calibration(confidences, correct, bins)
    assert found.ece == pytest.approx(expected_calibration_error(confidences, correct, bins), abs=1e-12)
    assert found.counts.sum() == count


def test_a_confidence_on_an_edge_belongs_to_the_lower_bin_and_1_to_the_last():
    found = calibration(np.array([0.0, 0.25, 0.5, 0.75, 1.0]), np.ones(5, bool), bins=4)
    assert found.counts.tolist() == [2, 1, 1, 1]
    assert found.confidences.tolist() == [0.125, 0.5, 0.75, 1.0]


def test_calibrated_probabilities_have_an_error_near_zero_and_sure_mistakes_one_of_1():
    rng = np.random.default_rng(0)
    confidences = rng.random(200_000)
    assert calibration(confidences, rng.random(200_000) < confidences).ece < 0.005
    assert calibration(np.ones(9), np.zeros(9, bool)).ece == 1.0
    assert calibration(np.zeros(0), np.zeros(0, bool)).ece == 0.0
