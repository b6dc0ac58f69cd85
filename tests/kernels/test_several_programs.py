"""In PyNative mode several networks and optimizers of one process each run on their own numbers."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.kernels.library import library
from mindcv.models import MnasNet
from mindcv.models.mnasnet import Stage
from mindcv.optim import create_optimizer

STAGES = (Stage(expand=2, channels=16, blocks=2, stride=2, kernel=5, se=0.25),)

pytestmark = pytest.mark.skipif(library() is None, reason="no compiler has made the kernels")


@pytest.fixture(autouse=True)
def pynative():
    ms.set_context(mode=ms.PYNATIVE_MODE)


def images() -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32))


@pytest.mark.parametrize("first", ["features", "logits"])
def test_features_and_their_means_do_not_mix(first):
    network, x = MnasNet(STAGES, 1.0, 8, num_classes=7).set_train(False), images()
    if first == "features":
        features, logits = network.forward_features(x), network(x)
    else:
        logits, features = network(x), network.forward_features(x)
    means = features.asnumpy().mean((2, 3))
    expected = means @ network.classifier.weight.asnumpy().T + network.classifier.bias.asnumpy()
    np.testing.assert_allclose(logits.asnumpy(), expected, atol=1e-5)


def test_two_networks_that_differ_in_padding_only_do_not_mix(monkeypatch):
    paddings = ("symmetric", "same")
    networks = [MnasNet(STAGES, 1.0, 8, num_classes=7, padding=name).set_train(False) for name in paddings]
    ms.load_param_into_net(networks[1], networks[0].parameters_dict())
    found = [network.forward_features(images()).asnumpy() for network in networks]
    monkeypatch.setenv("MINDCV_KERNELS", "0")
    expected = [network.forward_features(images()).asnumpy() for network in networks]
    assert np.abs(expected[0] - expected[1]).max() > 1e-2
    for ours, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-5)


def test_two_optimizers_that_differ_in_their_constants_only_do_not_mix():
    moved = []
    for decay in (0.0, 0.5):
        dense = nn.Dense(8, 3, weight_init="ones")
        optimizer = create_optimizer(
            dense.trainable_params(), "sgd", lr=1.0, weight_decay=decay, weight_decay_filter="disable"
        )
        optimizer(tuple(ms.ops.zeros_like(p) for p in optimizer.parameters))
        moved.append(float(dense.weight.asnumpy()[0, 0]))
    assert moved == [1.0, 0.5]
