"""Clipping, EMA and accumulation at sizes that reach all paths of MindSpore's kernels."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, ParameterTuple, Tensor, nn

from mindcv.step.clipping import AdaptiveClip, ClipByNorm, ClipByValue
from mindcv.step.ema import Ema, initialize_ema_model
from mindcv.step.train_step import TrainStep

SIZES = (1, 7, 8, 9, 64, 100_003)
UPDATES = 200


@pytest.fixture(autouse=True, params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def _mode(request):
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


def values(seed: int, low: float = -6.0) -> list[np.ndarray]:
    """A float32 vector of each size, of magnitudes from 10**low to 1 and both signs."""
    rng = np.random.default_rng(seed)
    return [
        (10 ** rng.uniform(low, 0, size) * rng.choice([-1, 1], size)).astype(np.float32) for size in SIZES
    ]


def tensors(arrays: list[np.ndarray]) -> tuple[Tensor, ...]:
    return tuple(Tensor(array) for array in arrays)


class Vectors(nn.Cell):
    """A network of one vector of each size, whose output is their product with what it is given."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        super().__init__()
        self.vectors = ParameterTuple(Parameter(Tensor(array), name=f"p{array.size}") for array in arrays)

    def construct(self, *factors: Tensor) -> Tensor:
        total = 0.0
        for vector, factor in zip(self.vectors, factors):  # noqa: B905 (graph mode has no strict)
            total = total + (vector * factor).sum()
        return total


@pytest.mark.parametrize("limit", [1e-3, 1.0, 1e6])
def test_the_norm_of_all_gradients_is_limited(limit):
    gradients = values(0)
    norm = np.sqrt(sum((gradient.astype(np.float64) ** 2).sum() for gradient in gradients))
    for found, gradient in zip(ClipByNorm(limit)(tensors(gradients)), gradients, strict=True):
        expected = gradient.astype(np.float64) * min(1.0, limit / norm)
        np.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("limit", [1e-5, 1e-2])
def test_each_element_of_the_gradients_is_limited(limit):
    gradients = values(1)
    for found, gradient in zip(ClipByValue(limit)(tensors(gradients)), gradients, strict=True):
        np.testing.assert_array_equal(
            found.asnumpy(), np.clip(gradient, -np.float32(limit), np.float32(limit))
        )


@pytest.mark.parametrize("size_of_weights", [1, 1e-6])
@pytest.mark.parametrize("units", [1, 3])
def test_the_gradient_of_each_unit_is_limited_by_the_norm_of_its_weights(units, size_of_weights):
    limit = 0.01
    weights, gradients = (
        [np.stack(rows) if units > 1 else rows[0] for rows in zip(*(values(s) for s in seeds), strict=True)]
        for seeds in (range(units), range(10, 10 + units))
    )
    weights = [weight * np.float32(size_of_weights) for weight in weights]
    clip = AdaptiveClip([Parameter(Tensor(w), name=f"w{w.size}") for w in weights], limit)
    for found, weight, gradient in zip(clip(tensors(gradients)), weights, gradients, strict=True):
        # A matrix has a unit in each row; a weight with a norm below 1e-3 counts as if it had that one.
        norms, lengths = (np.linalg.norm(a.astype(np.float64), axis=-1) for a in (gradient, weight))
        factors = np.minimum(1, limit * np.maximum(lengths, 1e-3) / norms)
        np.testing.assert_allclose(found.asnumpy(), gradient * factors[..., None], rtol=1e-5)


@pytest.mark.parametrize("kernels", ["0", "1"])
def test_the_ema_after_200_updates_is_that_of_float64(kernels, monkeypatch):
    monkeypatch.setenv("MINDCV_KERNELS", kernels)
    start, decay = values(4), 0.99
    network, average = Vectors(start), Vectors(start)
    initialize_ema_model(average, network)
    ema = Ema(network, average, decay)
    expected = [array.astype(np.float64) for array in start]
    changes = [values(seed) for seed in range(5)]
    for update in range(1, UPDATES + 1):
        value = changes[update % len(changes)]
        for parameter, array in zip(network.vectors, value, strict=True):
            ms.ops.assign(parameter, Tensor(array))
        ema(Tensor(0.0))
        weight = 1 - min(decay, (1 + update) / (10 + update))
        expected = [e - weight * (e - v) for e, v in zip(expected, value, strict=True)]
    for parameter, array in zip(average.vectors, expected, strict=True):
        np.testing.assert_allclose(parameter.asnumpy(), array, rtol=0, atol=1e-6)


def test_accumulated_gradients_are_the_mean_over_the_batches():
    start, batches = values(6), [values(seed) for seed in (7, 8, 9)]
    network = Vectors(start)
    optimizer = nn.SGD(list(network.vectors), 1.0)
    step = TrainStep(network, optimizer, accumulation=3)
    for batch in batches:
        step(*tensors(batch))
    for i, parameter in enumerate(network.vectors):
        mean = np.mean([batch[i].astype(np.float64) for batch in batches], axis=0)
        np.testing.assert_allclose(parameter.asnumpy(), start[i] - mean, rtol=0, atol=3e-7)
