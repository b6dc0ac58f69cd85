"""MobileNetV2 and V3: numbers and maps of timm, names of MindCV, and all that works on any staged network."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.models import create_model, find_model, freeze, summarize
from mindcv.models.weights.layouts import in_layout
from mindcv.optim import create_optimizer
from mindcv.step import NetworkWithLoss, TrainStep
from tests.support.networks import values_of
from tests.support.peers import timm, torch
from tests.support.random_weights import fresh, images, ours

# Trainable parameters as in timm, million MACs at 224 px.
COUNTS = {
    "mobilenet_v2_050": (1_968_680, "97.1"),
    "mobilenet_v2_075": (2_636_424, "209.1"),
    "mobilenet_v2_100": (3_504_872, "300.8"),
    "mobilenet_v2_140": (6_108_776, "582.2"),
    "mobilenet_v3_large_100": (5_483_032, "216.6"),
    "mobilenet_v3_small_100": (2_542_856, "56.5"),
}
TRIED = ["mobilenet_v2_050", "mobilenet_v3_small_100"]


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_macs_are_the_known_ones(name):
    parameters, millions = COUNTS[name]
    network = create_model(name)
    summary = summarize(network)
    assert summary.parameters == sum(p.size for p in network.trainable_params()) == parameters
    assert parameters == sum(p.numel() for p in fresh("timm", name, 1000).parameters())
    assert f"{summary.macs / 1e6:.1f}" == millions
    assert f"{summary.macs / 1e6:.0f} million MACs" in str(find_model(name).build.__doc__)


@pytest.mark.parametrize("name", TRIED)
def test_macs_are_those_of_the_layers_of_a_run(name):
    network, seen = create_model(name, 10).set_train(False), []

    def count(cell, _, output):
        seen.append(cell.weight.size * int(np.prod(output.shape[2:])))

    for _, cell in network.cells_and_names():
        if isinstance(cell, (nn.Conv2d, nn.Dense)):
            cell.register_forward_hook(count)
    network(Tensor(np.ones((1, 3, 65, 65), np.float32)))
    assert summarize(network, 65).macs == sum(seen)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "mobilenet_v2_100",
            ["features.3.layers.0.weight", "features.4.layers.6.weight", "features.20.weight"],
        ),
        (
            "mobilenet_v3_large_100",
            ["features.6.layers.6.conv_reduce.bias", "features.6.layers.7.weight", "features.18.weight"],
        ),
        (
            "mobilenet_v3_small_100",
            ["features.3.layers.3.conv_expand.weight", "features.4.layers.3.weight", "features.14.weight"],
        ),
    ],
)
def test_names_are_those_of_mindcv(name, expected):
    names = [p.name for p in create_model(name).get_parameters()]
    assert set(expected) <= set(names)
    last = ["classifier.1"] if "v2" in name else ["classifier.0", "classifier.3"]
    assert [n for n in names if n.startswith("classifier")] == [
        f"{layer}.{part}" for layer in last for part in ("weight", "bias")
    ]


@pytest.mark.parametrize("name", TRIED)
def test_feature_maps_are_those_of_timm(name):
    network = ours(name, padding="symmetric", bn_eps=1e-5)
    state = {n: torch.from_numpy(v) for n, v in in_layout(values_of(network), network, "timm").items()}
    theirs = timm.create_model(name.replace("_v", "v"), features_only=True).eval()
    theirs.load_state_dict({n: v for n, v in state.items() if n in theirs.state_dict()}, strict=True)
    pyramid = create_model(name, features_only=True, padding="symmetric")
    values = values_of(network)
    ms.load_param_into_net(
        pyramid, {p.name: ms.Parameter(values[p.name], name=p.name) for p in pyramid.get_parameters()}
    )
    assert pyramid.feature_channels == theirs.feature_info.channels()
    assert pyramid.feature_strides == theirs.feature_info.reduction() == [2, 4, 8, 16, 32]
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(images()))
    for found, map_ in zip(pyramid.set_train(False)(Tensor(images())), expected, strict=True):
        scale = max(1.0, float(map_.abs().max()))
        np.testing.assert_allclose(found.asnumpy(), map_.numpy(), rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("name", TRIED)
def test_a_frozen_backbone_leaves_the_last_layer_to_train(name):
    network = create_model(name, 3)
    freeze(network, "backbone")
    trained = {p.name for p in network.trainable_params()}
    assert trained == {p.name for p in network.get_classifier().get_parameters()}
    assert len(trained) == 2


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        pytest.param("mobilenet_v2_050", ms.PYNATIVE_MODE, marks=pytest.mark.slow),
        ("mobilenet_v3_small_100", ms.PYNATIVE_MODE),
        pytest.param("mobilenet_v3_small_100", ms.GRAPH_MODE, marks=pytest.mark.slow),
    ],
)
def test_a_step_with_layer_decay_dropout_and_stochastic_depth_moves_every_parameter(name, mode):
    ms.set_context(mode=mode)
    ms.set_seed(1)
    network = create_model(name, 2, drop_rate=0.1, drop_path_rate=0.1)
    before = values_of(network)
    optimizer = create_optimizer(network, "sgd", lr=0.5, momentum=0.0, layer_decay=0.9)
    step = TrainStep(NetworkWithLoss(network, nn.CrossEntropyLoss()), optimizer).set_train()
    for _ in range(2):
        step(Tensor(images(32, count=8)), Tensor(np.arange(8) % 2, ms.int32))
    after = values_of(network)
    assert [n for n in before if np.array_equal(before[n], after[n])] == []
    assert all(np.isfinite(value).all() for value in after.values())


@pytest.mark.parametrize("name", TRIED)
def test_a_classifier_is_replaced_and_keeps_its_names(name):
    network = create_model(name, 5).set_train(False)
    before = list(network.parameters_dict())
    network.reset_classifier(4)
    assert list(network.parameters_dict()) == before
    x = Tensor(images(32, count=2))
    assert network(x).shape == (2, 4)
    assert network.get_classifier().weight.shape == (4, network.head_channels)
    network.reset_classifier(0)
    assert network(x).shape == (2, network.head_channels) == (2, 1024 if "v3" in name else 1280)
    network.reset_classifier(3)
    assert network(x).shape == (2, 3)
    assert list(network.parameters_dict()) == before


@pytest.mark.parametrize(("name", "theirs"), [("mobilenet_v2_100", 34), ("mobilenet_v3_small_100", 24)])
def test_statistics_are_those_of_timm(name, theirs):
    buffers = {n: b.numel() for n, b in fresh("timm", name).named_buffers() if "num_batches" not in n}
    assert summarize(create_model(name)).statistics == sum(buffers.values())
    assert len(buffers) > theirs
