"""Dropout and stochastic depth: the elements that they drop, how often, and that masks are reproducible."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindcv.models import MnasNet
from mindcv.models.dropout import Dropout, DropPath, RandomState, _mix, seed_dropout
from mindcv.models.mnasnet import Stage

SIZE = 100_003

STAGES = (Stage(expand=1, channels=8, blocks=3, stride=1, kernel=3),)


def ones(*shape: int) -> Tensor:
    return Tensor(np.ones(shape, np.float32))


def masks(passes: int, *, rate: float = 0.4, seed: int = 5, layer: int = 0) -> list[np.ndarray]:
    """The first masks of a layer, as booleans of what is kept."""
    state = RandomState(seed)
    dropout = Dropout(rate, state, layer).set_train()
    found = []
    for _ in range(passes):
        ops.assign_add(state.passes, 1)
        found.append(dropout(ones(50, 400)).asnumpy() > 0)
    return found


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.9])
def test_dropout_drops_at_its_rate_everywhere_and_preserves_the_expected_value(rate):
    out = Dropout(rate, RandomState(1), 0).set_train()(ones(400, 500)).asnumpy()
    kept = out > 0
    np.testing.assert_allclose(out[kept], 1 / (1 - rate), rtol=1e-6)
    deviation = math.sqrt(rate * (1 - rate))
    assert abs(kept.mean() - (1 - rate)) < 4 * deviation / math.sqrt(kept.size)
    for axis, length in ((0, 400), (1, 500)):
        spread = kept.mean(axis).std() / (deviation / math.sqrt(length))
        assert 0.85 < spread < 1.15


def test_masks_of_other_passes_layers_and_keys_are_uncorrelated():
    found = [*masks(3), *masks(1, layer=1), *masks(1, layer=2), *masks(1, seed=6), *masks(1, seed=7)]
    flat = np.array([mask.ravel() for mask in found], np.float64)
    between = np.corrcoef(flat) - np.eye(len(flat))
    assert np.abs(between).max() < 5 / math.sqrt(flat.shape[1])
    shifted = [np.corrcoef(flat[0][:-k], flat[1][k:])[0, 1] for k in range(1, 40)]
    assert np.abs(shifted).max() < 5 / math.sqrt(flat.shape[1])


def test_the_same_key_and_counter_give_the_same_mask_whatever_else_is_drawn():
    first = masks(3)
    ms.set_seed(99)
    ops.rand(3)
    for mask, again in zip(first, masks(3), strict=True):
        np.testing.assert_array_equal(mask, again)


def test_drop_path_drops_all_of_a_sample_and_preserves_the_expected_value():
    rate, n = 0.25, 8000
    out = DropPath(rate, RandomState(0), 0).set_train()(ones(n, 2, 1, 2)).asnumpy().reshape(n, 4)
    assert (out == out[:, :1]).all()
    kept = out[:, 0] > 0
    np.testing.assert_allclose(out[kept], 1 / (1 - rate), rtol=1e-6)
    assert abs(kept.mean() - (1 - rate)) < 4 * math.sqrt(rate * (1 - rate) / n)


def hashed(words: np.ndarray) -> np.ndarray:
    """Wellons' lowbias32 in NumPy's integers."""
    words = words.astype(np.uint32)
    words = (words ^ (words >> 16)) * np.uint32(0x7FEB352D)
    words = (words ^ (words >> 15)) * np.uint32(0x846CA68B)
    return words ^ (words >> 16)


def expected_mask(key: int, passes: int, layer: int, size: int, rate: float) -> np.ndarray:
    """Which elements are kept, in NumPy's integers."""
    first = hashed(np.array([(key + 0x3C6EF372 * layer) % 2**32]))
    second = hashed(first + np.uint32(passes))
    words = hashed(hashed(np.arange(size, dtype=np.uint32) + second) + first)
    return words >= int(rate * 2**32)


@pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE, ms.GRAPH_MODE])
def test_words_are_hashed_as_by_numpys_integers(mode):
    ms.set_context(mode=mode)
    edges = [0, 1, 2**16 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**33 - 1]
    words = np.concatenate([edges, np.random.default_rng(0).integers(0, 2**33, SIZE)])
    found = ms.jit(_mix)(Tensor(words)) if mode == ms.GRAPH_MODE else _mix(Tensor(words))
    np.testing.assert_array_equal(found.asnumpy(), hashed(words % 2**32))


def test_the_hash_maps_no_two_words_to_one():
    words = np.arange(2**32 - 2**20, 2**32 + 2**20)  # the largest words, and the smallest as 2**32 more
    assert len(np.unique(_mix(Tensor(words)).asnumpy())) == 2**21


class Kept(nn.Cell):
    """Whether each of SIZE elements is kept by a layer."""

    def __init__(self, state: RandomState, layer: int, rate: float) -> None:
        super().__init__()
        self.dropout = Dropout(rate, state, layer)
        self.set_train()

    def construct(self) -> Tensor:
        return self.dropout.mask((SIZE,), ms.float32) > 0


@pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE, ms.GRAPH_MODE])
@pytest.mark.parametrize(("layer", "rate"), [(0, 0.2), (57, 0.5), (1000, 0.001)])
def test_masks_of_small_and_large_keys_and_counters_are_those_of_numpys_integers(mode, layer, rate):
    ms.set_context(mode=mode)
    state = RandomState(0)
    kept = Kept(state, layer, rate)
    for key in (0, 1, 2**31, 2**32 - 1, 0x9E3779B9):
        for passes in (0, 1, 2**24 + 1, 2**31 - 1):
            ops.assign(state.key, Tensor(key, ms.int64))
            ops.assign(state.passes, Tensor(passes, ms.int32))
            np.testing.assert_array_equal(kept().asnumpy(), expected_mask(key, passes, layer, SIZE, rate))


def test_masks_are_uniform_and_those_of_ranks_independent():
    rate = 0.3
    found = []
    for rank in range(8):
        network = nn.Cell()
        network.random_state = state = RandomState()
        seed_dropout(network, 42, rank)
        for passes in range(1, 5):
            ops.assign(state.passes, Tensor(passes, ms.int32))
            found.append(Kept(state, 3, rate)().asnumpy())
    found = np.array(found)
    deviation = math.sqrt(rate * (1 - rate) / SIZE)
    assert abs(found.mean(axis=1) - (1 - rate)).max() < 4.5 * deviation
    # The number of elements kept in each block of 251 has the variance of independent draws.
    blocks = found[:, : SIZE // 251 * 251].reshape(-1, 251).sum(axis=1)
    assert 0.95 < blocks.var() / (251 * rate * (1 - rate)) < 1.05
    between = np.corrcoef(found.astype(np.float64)) - np.eye(len(found))
    assert abs(between).max() < 5 / math.sqrt(SIZE)


@pytest.mark.parametrize("cell", [Dropout, DropPath])
def test_nothing_is_dropped_in_evaluation_or_at_rate_zero(cell):
    x = Tensor(np.random.default_rng(0).standard_normal((16, 3, 2, 2), np.float32))
    for rate, training in ((0.9, False), (0.0, True)):
        out = cell(rate, RandomState(0), 0).set_train(training)(x)
        np.testing.assert_array_equal(out.asnumpy(), x.asnumpy())


class Squared(nn.Cell):
    """A function whose gradient shows the mask that it was computed with."""

    def __init__(self, dropout: nn.Cell) -> None:
        super().__init__()
        self.dropout = dropout
        self.grad = ops.value_and_grad(self.squares)

    def squares(self, x: Tensor) -> Tensor:
        return (self.dropout(x) ** 2).sum()

    def construct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.grad(x)


def small(seed: int | None = None, rank: int = 0, **rates: float) -> MnasNet:
    ms.set_seed(3)
    network = MnasNet(STAGES, 1.0, 8, num_classes=5, **rates)
    if seed is not None:
        seed_dropout(network, seed, rank)
    return network.set_train()


def outputs(network: nn.Cell, passes: int = 3) -> np.ndarray:
    images = Tensor(np.random.default_rng(0).standard_normal((4, 3, 16, 16), np.float32))
    return np.array([network(images).asnumpy() for _ in range(passes)])


def test_a_network_draws_new_masks_at_each_pass_equal_in_both_modes_and_for_the_same_seed():
    rates = {"drop_rate": 0.3, "drop_path_rate": 0.5}
    first = outputs(small(7, **rates))
    assert len({row.tobytes() for row in first}) == 3
    np.testing.assert_array_equal(outputs(small(7, **rates)), first)
    assert np.abs(outputs(small(7, rank=1, **rates)) - first).max() > 0.01
    ms.set_context(mode=ms.GRAPH_MODE)
    np.testing.assert_allclose(outputs(small(7, **rates)), first, atol=1e-5)


def test_masks_continue_from_a_restored_counter():
    rates = {"drop_rate": 0.3, "drop_path_rate": 0.5}
    expected = outputs(small(7, **rates))[2]
    network = small(7, **rates)
    network.random_state.passes.set_data(Tensor(2, ms.int32))
    np.testing.assert_allclose(outputs(network, 1)[0], expected, atol=1e-5)


def test_randomness_adds_no_parameter_to_a_network():
    assert list(small(drop_rate=0.3).parameters_dict()) == list(small(drop_rate=0.0).parameters_dict())
    network = small(drop_rate=0.0)
    outputs(network)
    assert int(network.random_state.passes.asnumpy()) == 0  # nothing to count
    network = small(drop_rate=0.3)
    outputs(network)
    assert int(network.random_state.passes.asnumpy()) == 3
    outputs(network.set_train(False))
    assert int(network.random_state.passes.asnumpy()) == 3


@pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE, ms.GRAPH_MODE])
def test_the_gradient_passes_where_the_value_did(mode):
    ms.set_context(mode=mode)
    x = np.random.default_rng(0).uniform(1, 2, (8, 30)).astype(np.float32)
    value, gradient = Squared(Dropout(0.5, RandomState(2), 0)).set_train()(Tensor(x))
    kept = gradient.asnumpy() != 0
    assert 0.3 < kept.mean() < 0.7
    assert float(value) == pytest.approx(((2 * x[kept]) ** 2).sum(), rel=1e-5)
    np.testing.assert_allclose(gradient.asnumpy()[kept], 8 * x[kept], rtol=1e-6)
