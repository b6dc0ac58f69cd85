"""An evaluation counts every image once, whatever the batches."""

from collections.abc import Iterator

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.engine import Evaluation, evaluate
from mindcv.step import EvalStep

CLASSES = 8
MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}


class Same(nn.Cell):
    """Takes images of shape [N, CLASSES, 1, 1] as logits, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(p=0.9)
        self.seen: list[tuple] = []

    def construct(self, images: Tensor) -> Tensor:
        self.seen.append((images.shape, images.dtype))
        return self.dropout(images.reshape(images.shape[:2]).astype(ms.float32))


class Flat(nn.Cell):
    def construct(self, images: Tensor) -> Tensor:
        return images.reshape(images.shape[:2])


def dataset(count: int, dtype: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 6, (count, CLASSES, 1, 1)).astype(dtype), rng.integers(0, CLASSES, count).astype(
        np.int32
    )


def batches(images: np.ndarray, labels: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(labels), size):
        yield images[start : start + size], labels[start : start + size]


def step(network: nn.Cell) -> EvalStep:
    return EvalStep(network, nn.CrossEntropyLoss(reduction="none"))


def reference(images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    logits = images[:, :, 0, 0].astype(np.float64)
    target = logits[np.arange(len(labels)), labels]
    ahead = (logits >= target[:, None]).sum(axis=1) - 1
    losses = np.log(np.exp(logits).sum(axis=1)) - target
    counts = {"images": len(labels), "top1": (ahead < 1).sum(), "top5": (ahead < 5).sum()}
    return counts | {"loss_sum": pytest.approx(losses.sum(), rel=1e-5)}


def assert_counts(result: Evaluation, expected: dict[str, float]) -> None:
    assert vars(result) == expected
    assert [type(value) for value in vars(result).values()] == [int, int, int, float]


@pytest.mark.parametrize("size", [1, 3, 7, 10, 22, 23, 64])
def test_every_image_counts_once_for_any_batch_size(size):
    images, labels = dataset(23)
    network = Same()
    result = evaluate(step(network), batches(images, labels, size), size)
    assert_counts(result, reference(images, labels))
    assert {shape for shape, _ in network.seen} == {(size, CLASSES, 1, 1)}
    assert len(network.seen) == -(-23 // size)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_batches_may_be_of_any_size_up_to_the_largest(mode):
    ms.set_context(mode=mode)
    images, labels = dataset(12)
    uneven = [(images[a:b], labels[a:b]) for a, b in ((0, 1), (1, 5), (5, 7), (7, 12))]
    assert_counts(evaluate(step(Flat()), uneven, 6), reference(images, labels))


def test_images_keep_their_type_when_a_batch_is_padded():
    images, labels = dataset(5, np.uint8)
    network = Same()
    assert_counts(evaluate(step(network), batches(images, labels, 4), 4), reference(images, labels))
    assert {dtype for _, dtype in network.seen} == {ms.uint8}


def test_a_network_in_training_is_scored_without_its_dropout():
    images, labels = dataset(40)
    score = step(Same()).set_train(True)
    assert_counts(evaluate(score, batches(images, labels, 16), 16), reference(images, labels))
    assert not score.training
    assert not score.network.dropout.training


def test_the_counts_of_all_ranks_are_combined_before_any_ratio():
    images, labels = dataset(30)
    received = []

    def add_other_rank(counts: np.ndarray) -> np.ndarray:
        received.append(counts)
        return counts + np.array([10, 4, 6, 2.5, 0])

    alone = reference(images, labels)
    result = evaluate(step(Same()), batches(images, labels, 8), 8, combine=add_other_rank)
    assert len(received) == 1
    assert (received[0].shape, received[0].dtype) == ((5,), np.float64)
    assert received[0].tolist() == [*alone.values(), 0]
    assert (result.images, result.top1, result.top5) == (40, alone["top1"] + 4, alone["top5"] + 6)
    assert result.loss_sum == received[0][3] + 2.5


def test_an_evaluation_that_any_rank_was_asked_to_stop_has_no_result():
    images, labels = dataset(30)
    looks = iter([False, True])
    counted = []
    stopped = evaluate(
        step(Same()),
        batches(images, labels, 8),
        8,
        combine=lambda counts: counted.append(counts) or counts,
        stop_requested=lambda: next(looks),
    )
    assert stopped is None
    assert counted[0][0] == 8  # one batch, and the word to the others
    another = np.array([0, 0, 0, 0, 1])
    other = evaluate(step(Same()), batches(images, labels, 8), 8, combine=lambda counts: counts + another)
    assert other is None


def test_ranks_with_uneven_shards_count_as_one():
    images, labels = dataset(23)
    whole = evaluate(step(Same()), batches(images, labels, 4), 4)
    shards = [evaluate(step(Same()), batches(images[r::3], labels[r::3], 4), 4) for r in range(3)]
    assert [shard.images for shard in shards] == [8, 8, 7]
    for count in ("images", "top1", "top5"):
        assert sum(getattr(shard, count) for shard in shards) == getattr(whole, count)


def test_ratios_are_taken_at_the_end():
    result = Evaluation(images=8, top1=5, top5=7, loss_sum=10.0)
    assert (result.top1_accuracy, result.top5_accuracy, result.loss) == (0.625, 0.875, 1.25)
    assert str(result) == "top-1 0.6250  top-5 0.8750  loss 1.2500"
