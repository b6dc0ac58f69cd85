"""Features, gradients and running statistics by the kernels, against float64 and MindSpore's operators."""

import ctypes

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindcv.kernels.library import library
from mindcv.models.layers import SqueezeExcite
from mindcv.models.mobilenetv3 import HardSqueezeExcite
from tests.kernels.reference import Layers, computed, errors, layers, random_batch, truth

pytestmark = pytest.mark.skipif(library() is None, reason="there is no C++ compiler")

MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}
CASES = {  # options of `layers`, shape of the images
    "relu": ({}, (2, 3, 33, 20)),
    "relu6, same": ({"activation": nn.ReLU6, "padding": "same", "channels": 1}, (3, 1, 18, 31)),
    "hswish, pooled": ({"activation": nn.HSwish, "gate": HardSqueezeExcite, "pool": True}, (5, 3, 16, 17)),
    "hswish, same": ({"activation": nn.HSwish, "padding": "same", "channels": 4}, (2, 4, 9, 14)),
    "one pixel": ({"channels": 2, "pool": True}, (6, 2, 1, 1)),
    "full vectors": ({"between": 16, "inside": 48, "pool": True}, (2, 3, 20, 24)),
    "one image": ({"padding": "same"}, (1, 3, 40, 25)),
}


@pytest.fixture(params=[pytest.param("graph", marks=pytest.mark.slow), "pynative"])
def mode(request) -> str:
    ms.set_context(mode=MODES[request.param])
    return request.param


def compare(network: Layers, shape: tuple[int, int, int, int]) -> dict[str, float]:
    images, weights = random_batch(network, shape)
    expected = truth(network, images, weights)
    assert network.pooled_kernels is not None
    return errors(computed(network, images, weights), expected)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("case", CASES)
def test_results_gradients_and_statistics_are_those_of_float64(case, training):
    options, shape = CASES[case]
    found = compare(layers(**options).set_train(training), shape)
    assert found.pop("statistics") < (1e-5 if training else 1e-7)
    assert found.pop("features") < 2e-5
    assert max(found.values()) < 1e-4, found


def test_graph_mode_computes_the_same():
    results = []
    for mode in MODES.values():
        ms.set_context(mode=mode)
        network = layers().set_train()
        results.append(computed(network, *random_batch(network, (3, 3, 20, 21))))
    for name, value in results[0].items():
        np.testing.assert_array_equal(value, results[1][name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("gate", [SqueezeExcite, HardSqueezeExcite])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6, nn.HSwish])
@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("height", [2, 7, 32, 61])
@pytest.mark.parametrize("width", [1, 8, 45, 300])
def test_a_grid_of_sizes(height, width, training, padding, activation, gate):
    for pool in (True, False):
        network = layers(activation=activation, gate=gate, padding=padding, pool=pool).set_train(training)
        found = compare(network, (4, 3, height, width))
        assert max(found.values()) < 5e-4, found


def test_the_drop_path_drops_the_same_images_as_the_operators(monkeypatch):
    results = []
    for switch in "10":
        monkeypatch.setenv("MINDCV_KERNELS", switch)
        network = layers(drop=0.5).set_train()
        results.append(computed(network, *random_batch(network, (6, 3, 16, 16))))
    assert max(errors(*results).values()) < 1e-4
    monkeypatch.setenv("MINDCV_KERNELS", "1")
    without = layers().set_train()
    assert errors(computed(without, *random_batch(without, (6, 3, 16, 16))), results[0])["features"] > 0.1


def test_a_channel_with_a_single_value_is_normalised_to_its_offset(mode):
    network = layers(pool=True).set_train()
    features = network(Tensor(np.full((1, 3, 1, 1), 3, np.float32))).asnumpy().reshape(-1)
    offsets = network.features[-2].beta.asnumpy()
    np.testing.assert_allclose(features, np.maximum(offsets, 0), rtol=0, atol=1e-6)
    assert np.isfinite(network.features[1].moving_variance.asnumpy()).all()


def test_nan_reaches_the_features(mode):
    images = np.ones((2, 3, 16, 16), np.float32)
    images[1, 0, 3, 3] = np.nan
    assert np.isnan(layers().set_train()(Tensor(images)).asnumpy()).all()
    features = layers().set_train(False)(Tensor(images)).asnumpy()
    assert np.isfinite(features[0]).all()
    assert np.isnan(features[1]).any()


def moving_mean(network: Layers) -> np.ndarray:
    return network.features[1].moving_mean.asnumpy().copy()


def test_a_pass_updates_the_running_statistics_once(mode):
    images, weights = random_batch(layers(), (4, 3, 16, 16))
    network = layers().set_train()
    before = moving_mean(network)
    once = truth(network, images, weights)["features.1.moving_mean"]
    network(Tensor(images))
    np.testing.assert_allclose(moving_mean(network), once, rtol=1e-5, atol=1e-6)
    computed(network, images, weights)
    np.testing.assert_allclose(moving_mean(network) - once, 0.9 * (once - before), rtol=1e-4, atol=1e-6)


def test_an_evaluation_leaves_the_running_statistics_also_with_gradients(mode):
    network = layers().set_train(False)
    before = moving_mean(network)
    computed(network, *random_batch(network, (4, 3, 16, 16)))
    np.testing.assert_array_equal(moving_mean(network), before)


def test_training_and_evaluation_alternate(mode):
    images = Tensor(random_batch(layers(), (4, 3, 16, 16))[0])
    network = layers().set_train()
    for _ in range(2):
        network.set_train()(images)
        evaluated = network.set_train(False)(images).asnumpy()
        np.testing.assert_allclose(
            evaluated, truth(network, images.asnumpy(), np.ones((4, 24, 2, 2)))["features"], atol=2e-5
        )


def test_results_repeat_bit_by_bit():
    results = []
    for _ in range(5):
        network = layers(gate=HardSqueezeExcite).set_train()
        results.append(computed(network, *random_batch(network, (5, 3, 31, 30))))
    for result in results[1:]:
        for name, value in result.items():
            np.testing.assert_array_equal(value, results[0][name], err_msg=name)


@pytest.fixture
def threads():
    """Sets the kernels' number of threads, which is restored afterwards."""
    loaded = library()
    assert isinstance(loaded, ctypes.CDLL)
    before = loaded.mindcv_threads()
    yield loaded.mindcv_set_threads
    loaded.mindcv_set_threads(before)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_number_of_threads_matters_by_rounding_alone(threads, count):
    results = []
    for number in (2, count):
        threads(number)
        trained, evaluated = layers().set_train(), layers().set_train(False)
        images, weights = random_batch(trained, (3, 3, 21, 24))
        results.append(computed(trained, images, weights))
        results[-1]["evaluated"] = evaluated(Tensor(images)).asnumpy()
    np.testing.assert_array_equal(results[0].pop("evaluated"), results[1].pop("evaluated"))
    assert max(errors(*results).values()) < 1e-4


@pytest.mark.slow
def test_images_of_any_number_and_size_without_compiling_again():
    ms.set_context(mode=ms.GRAPH_MODE)
    network = layers().set_train(False)
    network.set_inputs(Tensor(shape=(None, 3, None, None), dtype=ms.float32))
    for shape in ((2, 3, 16, 24), (5, 3, 40, 9)):
        images, weights = random_batch(network, shape)
        expected = truth(network, images, weights)["features"]
        np.testing.assert_allclose(network(Tensor(images)).asnumpy(), expected, rtol=0, atol=2e-5)


def test_no_gradient_is_needed_for_a_frozen_network():
    network = layers().set_train()
    for parameter in network.get_parameters():
        parameter.requires_grad = False
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.use_batch_statistics = False
    images, weights = random_batch(network, (2, 3, 16, 16))
    expected = truth(network, images, weights)
    assert type(network.kernels).__name__ == "EvaluatedFeatures"
    factors = Tensor(weights)
    gradient = ops.grad(lambda x: (network(x) * factors).sum())(Tensor(images))
    assert errors({"images": gradient.asnumpy()}, {"images": expected["images"]})["images"] < 1e-4


def test_frozen_layers_keep_their_statistics_while_others_train():
    network = layers().set_train()
    network.features[1].use_batch_statistics = False
    images, weights = random_batch(network, (4, 3, 16, 16))
    before = moving_mean(network)
    expected = truth(network, images, weights)
    found = computed(network, images, weights)
    np.testing.assert_array_equal(moving_mean(network), before)
    assert max(errors(found, expected).values()) < 1e-4
