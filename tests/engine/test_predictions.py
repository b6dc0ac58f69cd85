"""The predictions that an evaluation keeps: ranked as its scores are, each image once, on any ranks."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindcv.engine import PredictionRecorder, evaluate
from mindcv.engine.predictions import summarize_logits
from mindcv.step import EvalStep


class Same(nn.Cell):
    """Logits are the images."""

    def construct(self, x):
        return x.reshape(x.shape[0], -1)


def logits_and_labels(count: int, classes: int):
    rng = np.random.default_rng(count)
    logits = rng.normal(0, 3, (count, classes)).astype(np.float32)
    labels = rng.integers(0, classes, count).astype(np.int32)
    logits[::5] = np.round(logits[::5])  # equals
    return logits, labels


def scored(logits, labels, size: int, recorder: PredictionRecorder):
    step = EvalStep(Same(), nn.CrossEntropyLoss(reduction="none"), with_logits=True)
    images = logits[:, :, None, None]
    batches = [(images[i : i + size], labels[i : i + size]) for i in range(0, len(labels), size)]
    recorder.begin()
    return evaluate(step, batches, size, observe=recorder.add)


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
@pytest.mark.parametrize(("count", "classes"), [(1, 2), (9, 7), (64, 10), (103, 1000)])
def test_predictions_add_up_to_the_scores_and_confidences_are_the_softmax(count, classes, mode):
    ms.set_context(mode=mode)
    logits, labels = logits_and_labels(count, classes)
    recorder = PredictionRecorder(np.arange(count), count)
    evaluation = scored(logits, labels, 8, recorder)
    found = recorder.gather(recorder.recorded())
    assert (found.labels == found.predicted).sum() == evaluation.top1
    assert found.in_top5.sum() == evaluation.top5
    np.testing.assert_array_equal(found.indices, np.arange(count))
    np.testing.assert_array_equal(found.labels, labels)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.confidences, shares.max(axis=1), rtol=1e-6)


def test_the_label_must_be_ahead_of_its_equals_and_nan_is_no_prediction():
    logits = np.array([[1, 1, 0], [0, 0, 0], [np.nan, 1, 0], [5, np.nan, 0]], np.float32)
    _, labels, predicted, confidences, in_top5 = summarize_logits(np.array([0, 0, 0, 0]), logits).T
    assert predicted.tolist()[:3] == [1, 1, 1]
    assert labels.tolist() == [0, 0, 0, 0]
    assert confidences[:2] == pytest.approx([np.e / (2 * np.e + 1), 1 / 3])
    assert confidences[2:].tolist() == [0, 0]
    assert in_top5.tolist() == [1, 1, 0, 1]


def test_images_that_could_not_be_read_are_left_out():
    logits, labels = logits_and_labels(10, 4)
    labels[[2, 9]] = -1
    recorder = PredictionRecorder(np.arange(10), 10)
    assert scored(logits, labels, 4, recorder).images == 8
    assert recorder.gather(recorder.recorded()).indices.tolist() == [0, 1, 3, 4, 5, 6, 7, 8]


def test_the_shards_of_three_ranks_are_put_together_in_the_order_of_the_dataset():
    logits, labels = logits_and_labels(11, 6)
    recorders = [PredictionRecorder(np.arange(rank, 11, 3), 11) for rank in range(3)]
    for rank, recorder in enumerate(recorders):
        scored(logits[rank::3], labels[rank::3], 2, recorder)
    tables: list[np.ndarray] = []

    def collect(table):
        tables.append(table)
        return table

    for recorder in recorders:
        recorder.gather(recorder.recorded(), collect)
    together = recorders[0].gather(recorders[0].recorded(), lambda _: sum(tables))
    alone = PredictionRecorder(np.arange(11), 11)
    scored(logits, labels, 4, alone)
    expected = alone.gather(alone.recorded())
    for name, values in vars(expected).items():
        np.testing.assert_array_equal(getattr(together, name), values)


def test_an_evaluation_replaces_the_predictions_of_the_one_before():
    logits, labels = logits_and_labels(6, 3)
    recorder = PredictionRecorder(np.arange(6), 6)
    scored(-logits, labels, 4, recorder)
    kept = recorder.recorded()
    scored(logits, labels, 4, recorder)
    assert len(recorder.recorded()) == 6
    assert (kept[:, 2] != recorder.recorded()[:, 2]).any()
