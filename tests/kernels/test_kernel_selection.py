"""Which networks run on the kernels, and that nothing else notices them."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from mindcv.kernels.library import library
from mindcv.models import create_model
from mindcv.models.dropout import DropPath, RandomState
from mindcv.models.layers import Block, SyncBatchNorm2d, conv_norm
from tests.kernels.reference import Layers, computed, errors, layers, random_batch

pytestmark = pytest.mark.skipif(library() is None, reason="there is no C++ compiler")

MODELS = [
    *("mnasnet_050", "semnasnet_075", "mnasnet_small", "mobilenet_v2_050", "mobilenet_v3_small_100"),
    "mobilenet_v3_large_100",
]
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 32, 32), np.float32)
conv = {"padding": "symmetric", "eps": 1e-3, "momentum": 0.9}


def runs_on_kernels(network: nn.Cell) -> bool:
    return network.kernels is not None


@pytest.mark.parametrize("name", MODELS)
def test_every_family_runs_on_the_kernels(name):
    network = create_model(name, num_classes=3, drop_path_rate=0.2)
    assert runs_on_kernels(network.set_train())
    assert runs_on_kernels(network.set_train(False))


def test_a_network_keeps_its_names_and_its_cells():
    network = create_model("mnasnet_050", num_classes=3)
    before = [p.name for p in network.get_parameters()], [name for name, _ in network.cells_and_names()]
    network.set_train()(Tensor(IMAGES))
    assert before == (
        [p.name for p in network.get_parameters()],
        [name for name, _ in network.cells_and_names()],
    )


def test_the_switch_leaves_everything_to_the_operators(monkeypatch):
    network = layers(pool=True).set_train(False)
    with_kernels = network(Tensor(IMAGES)).asnumpy()
    monkeypatch.setenv("MINDCV_KERNELS", "0")
    assert not runs_on_kernels(network)
    np.testing.assert_allclose(network(Tensor(IMAGES)).asnumpy(), with_kernels, rtol=0, atol=2e-5)


def test_half_precision_is_left_to_the_operators():
    network = layers()
    assert runs_on_kernels(network)
    network.features[3].to_float(ms.float16)
    assert not runs_on_kernels(network)


def test_half_precision_images_are_left_to_the_operators():
    network = layers().set_train(False)
    for cell in network.features.cells():
        cell.to_float(ms.float16)
    assert network(Tensor(IMAGES.astype(np.float16))).dtype == ms.float16


def uncovered() -> dict[str, list[nn.Cell]]:
    first = [*conv_norm(3, 8, 3, 2, **conv), nn.ReLU()]
    path = DropPath(0.0, RandomState(seed=0), 0)
    inner = Block(conv_norm(8, 8, **conv), skip=True, drop_path=path)
    dilated = nn.Conv2d(8, 8, 3, pad_mode="pad", padding=1, group=8, dilation=2)
    return {
        "an unknown layer": [*first, nn.MaxPool2d(2)],
        "an unknown activation": [*first[:2], nn.GELU()],
        "two activations": [*first, nn.ReLU6()],
        "a dense convolution": [*first, *conv_norm(8, 8, 3, **conv)],
        "no normalisation": first[:1],
        "groups": [*first, *conv_norm(8, 8, 3, groups=2, **conv)],
        "dilation": [*first, dilated, nn.BatchNorm2d(8)],
        "normalisation over all ranks": [first[0], SyncBatchNorm2d(8, eps=1e-3, momentum=0.9)],
        "an activation inside a skip connection": [
            *first[:2],
            Block([nn.ReLU(), *conv_norm(8, 8, **conv)], skip=True, drop_path=path),
        ],
        "nested skip connections": [
            *first,
            Block([inner, *conv_norm(8, 8, **conv)], skip=True, drop_path=path),
        ],
        "a skip connection around nothing": [*first, Block([], skip=True, drop_path=path)],
    }


@pytest.mark.parametrize("case", uncovered())
def test_other_layers_are_left_to_the_operators(case):
    assert not runs_on_kernels(Layers(uncovered()[case]))


def test_a_network_in_evaluation_with_a_layer_in_training_is_left_to_the_operators():
    network = layers().set_train(False)
    network.features[1].set_train()
    assert not runs_on_kernels(network)


@pytest.mark.parametrize("place", ["features", "block", "leaf"])
def test_hooks_are_called(place):
    network = layers().set_train()
    assert runs_on_kernels(network)
    cell = {"features": network.features, "block": network.features[8], "leaf": network.features[0]}[place]
    called = []
    handle = cell.register_forward_hook(lambda *_: called.append(place))
    network(Tensor(IMAGES))
    assert called == [place]
    handle.remove()
    assert runs_on_kernels(network)


def test_what_changes_in_a_network_changes_its_results_as_it_does_without_kernels(monkeypatch):
    network = layers().set_train()
    images, weights = random_batch(network, (3, 3, 16, 16))
    computed(network, images, weights)

    def change(name: str) -> None:
        if name == "parameter":
            network.features[0].weight = Parameter(
                2 * network.features[0].weight, name=network.features[0].weight.name
            )
        elif name == "cell":
            network.features[2] = nn.ReLU6()
        else:
            setattr(network.features[1], name, 0.5)

    for name in ("parameter", "cell", "eps", "momentum"):
        change(name)
        results = []
        for switch in "10":
            monkeypatch.setenv("MINDCV_KERNELS", switch)
            for parameter in network.get_parameters():
                if "moving" in parameter.name:
                    ops.assign(parameter, ops.ones_like(parameter))
            results.append(computed(network, images, weights))
            monkeypatch.setenv("MINDCV_KERNELS", "1")
        assert max(errors(*results).values()) < 1e-4, name


@pytest.mark.parametrize("kind", ["MINDIR", "ONNX"])
def test_an_export_contains_no_kernels(kind, tmp_path: Path):
    network = layers().set_train(False)
    images = Tensor(IMAGES)
    network(images)
    ms.export(network, images, file_name=str(tmp_path / "network"), file_format=kind)
    (path,) = tmp_path.glob("network.*")
    content = path.read_bytes()
    assert b"Evaluate" not in content
    assert b"kernels-" not in content
    assert b"Conv" in content


def test_an_accelerators_graph_contains_no_kernels(monkeypatch):
    network = layers()
    monkeypatch.setattr(ms, "get_context", lambda key: "Ascend")
    assert not runs_on_kernels(network)
