"""The cells that run on the device, against NumPy."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.loss import create_loss
from mindcv.models import MnasNet
from mindcv.models.mnasnet import Stage
from mindcv.step import EvalStep, LossScale, NetworkWithLoss, Normalized, TrainStep

MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}
STAGES = (
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=2, channels=8, blocks=2, stride=2, kernel=3),
)


@pytest.fixture(params=MODES)
def mode(request):
    ms.set_context(mode=MODES[request.param])
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


class Same(nn.Cell):
    """Takes logits as images."""

    def construct(self, images: Tensor) -> Tensor:
        return images


def linear(weight: np.ndarray, bias: np.ndarray) -> nn.Dense:
    return nn.Dense(weight.shape[1], weight.shape[0], weight_init=Tensor(weight), bias_init=Tensor(bias))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def sgd(
    weight: np.ndarray, bias: np.ndarray, images: np.ndarray, targets: np.ndarray, lr: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """The loss of a linear classifier, and its weights after one step of gradient descent."""
    log = log_softmax(images @ weight.T + bias)
    error = (np.exp(log) - targets) / len(images)
    loss = -(targets * log).sum(axis=1).mean()
    return loss, weight - lr * error.T @ images, bias - lr * error.sum(axis=0)


def problem() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((3, 4)), rng.standard_normal(3)
    return weight, bias, rng.standard_normal((8, 4)), rng.integers(0, 3, 8)


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
@pytest.mark.parametrize("loss_scale", [1.0, 256.0])
def test_train_step_is_gradient_descent(loss_scale, soft):
    weight, bias, images, labels = problem()
    targets = np.eye(3)[labels] * (0.7 if soft else 1) + (0.1 if soft else 0)
    network = linear(weight.astype(np.float32), bias.astype(np.float32))
    optimizer = nn.SGD(network.trainable_params(), 0.5)
    forward = NetworkWithLoss(network, nn.CrossEntropyLoss())
    step = TrainStep(forward, optimizer, loss_scale=LossScale(loss_scale)).set_train()
    given = Tensor(targets.astype(np.float32)) if soft else Tensor(labels.astype(np.int32))
    for _ in range(3):
        loss, weight, bias = sgd(weight, bias, images, targets, 0.5)
        returned = step(Tensor(images.astype(np.float32)), given)
        assert returned.shape == ()
        assert float(returned) == pytest.approx(loss, abs=1e-6)
        np.testing.assert_allclose(network.weight.asnumpy(), weight, atol=1e-6)
        np.testing.assert_allclose(network.bias.asnumpy(), bias, atol=1e-6)


def test_train_step_leaves_alone_what_the_optimizer_does_not_have():
    weight, bias, images, labels = (part.astype(np.float32) for part in problem())
    network = linear(weight, bias)
    step = TrainStep(NetworkWithLoss(network, nn.CrossEntropyLoss()), nn.SGD([network.bias], 0.5)).set_train()
    step(Tensor(images), Tensor(labels.astype(np.int32)))
    np.testing.assert_array_equal(network.weight.asnumpy(), weight)
    assert np.abs(network.bias.asnumpy() - bias).max() > 0.01


def losses_of_a_small_mnasnet(
    mode: int, loss_scale: float = 1.0
) -> tuple[list[float], dict[str, np.ndarray]]:
    ms.set_context(mode=mode)
    rng = np.random.default_rng(0)
    network = MnasNet(STAGES, 1.0, 8, num_classes=5, drop_rate=0.0, bn_momentum=0.9)
    for parameter in network.trainable_params():
        if parameter.ndim > 1:
            start = rng.standard_normal(parameter.shape) * np.sqrt(2 / np.prod(parameter.shape[1:]))
            parameter.set_data(Tensor(start, ms.float32))
    optimizer = nn.Momentum(network.trainable_params(), 0.01, 0.9)
    forward = NetworkWithLoss(network, nn.CrossEntropyLoss())
    step = TrainStep(forward, optimizer, loss_scale=LossScale(loss_scale)).set_train()
    losses = []
    for _ in range(20):
        images, labels = rng.standard_normal((4, 3, 16, 16), np.float32), rng.integers(0, 5, 4)
        losses.append(float(step(Tensor(images), Tensor(labels.astype(np.int32)))))
    return losses, {p.name: p.asnumpy() for p in network.get_parameters()}


def test_graph_and_pynative_mode_and_a_loss_scale_give_the_same_training():
    losses, weights = losses_of_a_small_mnasnet(ms.PYNATIVE_MODE)
    assert len(set(losses)) == 20
    scaled, scaled_weights = losses_of_a_small_mnasnet(ms.PYNATIVE_MODE, loss_scale=256.0)
    np.testing.assert_allclose(scaled, losses, rtol=1e-6)
    try:
        graph, graph_weights = losses_of_a_small_mnasnet(ms.GRAPH_MODE)
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)
    np.testing.assert_allclose(graph, losses, rtol=1e-5)
    for name, array in weights.items():
        np.testing.assert_allclose(scaled_weights[name], array, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(graph_weights[name], array, atol=1e-5, err_msg=name)


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalized_subtracts_the_mean_and_divides_by_the_deviation(dtype):
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5)).astype(dtype)
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    out = Normalized(Same(), mean, std)(Tensor(images))
    expected = (images.astype(np.float64) - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    assert out.dtype == ms.float32
    np.testing.assert_allclose(out.asnumpy(), expected, atol=1e-6)


def test_normalized_takes_grey_images():
    out = Normalized(Same(), [10.0], [2.0])(Tensor(np.full((1, 1, 2, 2), 16, np.uint8)))
    np.testing.assert_array_equal(out.asnumpy(), np.full((1, 1, 2, 2), 3.0))


def test_no_cell_renames_or_adds_parameters():
    network = nn.SequentialCell(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    names = list(network.parameters_dict())
    assert names == ["0.weight", "1.moving_mean", "1.moving_variance", "1.gamma", "1.beta"]
    optimizer = nn.Momentum(network.trainable_params(), 0.1, 0.9)
    own = [name for name in optimizer.parameters_dict() if name not in names]
    normalized = Normalized(network, [1.0] * 3, [1.0] * 3)
    step = TrainStep(NetworkWithLoss(normalized, nn.CrossEntropyLoss()), optimizer)
    score = EvalStep(normalized, nn.CrossEntropyLoss(reduction="none"))
    assert list(normalized.parameters_dict()) == list(score.parameters_dict()) == names
    assert list(network.parameters_dict()) == names
    assert sorted(step.parameters_dict()) == sorted(names + own)
    assert [p.name for p in optimizer.parameters] == [n for n in names if "moving" not in n]


def counts(logits: np.ndarray, labels: np.ndarray) -> tuple[float, int, int]:
    """Compute the counts of an evaluation image by image."""
    loss, hits = 0.0, {1: 0, 5: 0}
    for row, label in zip(logits.astype(np.float64), labels, strict=True):
        if label < 0:
            continue
        loss += np.log(np.exp(row).sum()) - row[label]
        not_behind = sum(not row[other] < row[label] for other in range(len(row)) if other != label)
        for k in hits:
            hits[k] += bool(not np.isnan(row[label]) and not_behind < k)
    return loss, hits[1], hits[5]


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, int, int]:
    step = EvalStep(Same(), nn.CrossEntropyLoss(reduction="none")).set_train(False)
    loss, top1, top5 = step(Tensor(logits.astype(np.float32)), Tensor(labels.astype(np.int32)))
    assert loss.dtype == ms.float32
    assert {top1.dtype, top5.dtype} <= {ms.int32, ms.int64}
    assert loss.shape == top1.shape == top5.shape == ()
    return float(loss), int(top1), int(top5)


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("classes", [2, 3, 5, 6, 20])
def test_eval_step_counts_as_numpy_does(classes):
    rng = np.random.default_rng(classes)
    logits = rng.integers(0, 2 * classes, (200, classes)) / 2  # many ties
    labels = rng.integers(-1, classes, 200)  # some of them only fill up
    loss, top1, top5 = counts(logits, labels)
    if classes > 5:
        assert 0 < top1 < top5 < (labels >= 0).sum()
    else:
        assert top5 == (labels >= 0).sum()
    assert score(logits, labels) == (pytest.approx(loss, rel=1e-5), top1, top5)


@pytest.mark.parametrize("classes", [2, 5, 6, 10])
def test_equal_logits_rank_the_label_last(classes):
    labels = np.arange(classes)
    loss, top1, top5 = score(np.zeros((classes, classes)), labels)
    assert loss == pytest.approx(classes * np.log(classes), rel=1e-5)
    assert (top1, top5) == (0, classes if classes <= 5 else 0)


@pytest.mark.parametrize("classes", [2, 5, 6, 10])
def test_nan_logits_score_nothing(classes):
    labels = np.arange(classes)
    loss, top1, top5 = score(np.full((classes, classes), np.nan), labels)
    assert np.isnan(loss)
    assert (top1, top5) == (0, 0)
    logits = np.eye(classes)
    logits[0, 0] = np.nan
    assert score(logits, labels)[1:] == counts(logits, labels)[1:] == (classes - 1, classes - 1)


def test_padding_images_do_not_count_whatever_their_logits():
    logits = np.eye(6)
    expected = counts(logits, np.arange(6))
    filled = np.concatenate([logits, np.full((2, 6), np.nan), np.full((1, 6), np.inf)])
    labels = np.concatenate([np.arange(6), [-1, -1, -1]])
    assert score(filled, labels) == (pytest.approx(expected[0], rel=1e-5), 6, 6)
    assert score(filled[6:], labels[6:]) == (0.0, 0, 0)


def test_the_best_five_count_towards_top_five():
    logits = np.tile(np.arange(10.0), (10, 1))  # class 9 ranks first, class 0 last
    for label in range(10):
        _, top1, top5 = score(logits[:1], np.array([label]))
        assert (top1, top5) == (label == 9, label >= 5)


def test_half_precision_logits_are_scored_in_single_precision():
    step = EvalStep(Same(), nn.CrossEntropyLoss(reduction="none"))
    logits = Tensor(np.eye(6), ms.float16)
    loss, top1, _ = step(logits, Tensor(np.arange(6), ms.int32))
    assert loss.dtype == ms.float32
    assert (float(loss), int(top1)) == (pytest.approx(counts(np.eye(6), np.arange(6))[0], rel=1e-5), 6)


@pytest.mark.usefixtures("mode")
def test_of_a_loss_for_each_class_the_mean_is_the_loss_of_an_image():
    logits, labels = np.random.default_rng(0).standard_normal((7, 3)), np.array([0, 1, 2, -1, 2, 1, -1])
    step = EvalStep(Same(), create_loss("BCE", reduction="none")).set_train(False)
    loss = float(step(Tensor(logits.astype(np.float32)), Tensor(labels.astype(np.int32)))[0])
    rows = np.eye(3)[labels]
    each = rows * np.logaddexp(0, -logits) + (1 - rows) * np.logaddexp(0, logits)
    assert loss == pytest.approx(each.mean(axis=1)[labels >= 0].sum(), rel=1e-5)
