"""Names of parameters in timm, torchvision and ours, made from the network, are those the libraries have."""

import numpy as np
import pytest
from mindspore import nn

from mindcv.errors import UserError
from mindcv.models import MnasNet, create_model
from mindcv.models.weights.layouts import detect_layout, in_layout, layout_names, layouts_of, without_prefix
from tests.support.networks import values_of
from tests.support.random_weights import TORCHVISION, fresh

TIMM = [
    "mnasnet_050",
    "mnasnet_075",
    "mnasnet_100",
    "mnasnet_140",
    "mnasnet_small",
    "semnasnet_075",
    "semnasnet_100",
    "mobilenet_v2_100",
    "mobilenet_v2_140",
    "mobilenet_v3_large_100",
    "mobilenet_v3_small_100",
]


class Own(nn.Cell):
    """Some of its names are torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.SequentialCell(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


@pytest.mark.parametrize(
    ("library", "model"), [*(("timm", m) for m in TIMM), *(("torchvision", m) for m in TORCHVISION)]
)
def test_names_shapes_and_types_are_those_of_the_library(library, model):
    network = create_model(model, 7)
    found = in_layout(values_of(network), network, library)
    state = fresh(library, model, 7).state_dict()
    assert {name: (array.shape, str(array.dtype)) for name, array in found.items()} == {
        name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in state.items()
    }
    assert detect_layout(found, layouts_of(network)) == library


@pytest.mark.parametrize(
    ("ours", "timm", "torchvision"),
    [  # the table of the facts
        ("features.0.weight", "conv_stem.weight", "layers.0.weight"),
        ("features.1.gamma", "bn1.weight", "layers.1.weight"),
        ("features.3.weight", "blocks.0.0.conv_dw.weight", "layers.3.weight"),
        ("features.7.moving_variance", "blocks.0.0.bn2.running_var", "layers.7.running_var"),
        ("features.8.layers.0.weight", "blocks.1.0.conv_pw.weight", "layers.8.0.layers.0.weight"),
        ("features.12.layers.4.beta", "blocks.2.1.bn2.bias", "layers.9.1.layers.4.bias"),
        ("features.22.layers.3.weight", "blocks.5.3.conv_dw.weight", "layers.12.3.layers.3.weight"),
        (
            "features.23.layers.7.moving_mean",
            "blocks.6.0.bn3.running_mean",
            "layers.13.0.layers.7.running_mean",
        ),
        ("features.24.weight", "conv_head.weight", "layers.14.weight"),
        ("features.25.gamma", "bn2.weight", "layers.15.weight"),
        ("classifier.bias", "classifier.bias", "classifier.1.bias"),
    ],
)
def test_names_of_b1_are_those_of_the_table(ours, timm, torchvision):
    network = create_model("mnasnet_050")
    assert layout_names(network, "mindcv")[ours] == ours
    assert layout_names(network, "timm")[ours] == timm
    assert layout_names(network, "torchvision")[ours] == torchvision


def test_names_of_squeeze_excite_are_those_of_timm():
    names = layout_names(create_model("semnasnet_075"), "timm")
    assert names["features.10.layers.5.1.reduce.weight"] == "blocks.2.0.se.conv_reduce.weight"
    assert names["features.10.layers.5.1.expand.bias"] == "blocks.2.0.se.conv_expand.bias"


@pytest.mark.parametrize("model", ["semnasnet_100", "mnasnet_small"])
def test_torchvision_has_b1_only(model):
    with pytest.raises(UserError, match=r"^torchvision has only MnasNet-B1 \(mnasnet_050 to mnasnet_140\), "):
        layout_names(create_model(model), "torchvision")


def test_a_network_of_ones_own_has_names_of_its_own():
    own = Own()
    assert detect_layout(own.parameters_dict(), MnasNet.weight_layouts) == "mindcv"
    with pytest.raises(
        UserError,
        match=r"^the names of Own's parameters in timm are unknown: list them in its ",
    ):
        layout_names(own, "timm")


def test_the_prefix_of_data_parallel_is_taken_from_foreign_names_alone():
    one = np.ones(1)
    names = {"module.conv_stem.weight": one, "module.bn1.running_mean": one, "n_averaged": one}
    assert set(without_prefix(names)) == {"conv_stem.weight", "bn1.running_mean", "n_averaged"}
    for kept in ({"module.weight": one}, {**names, "other": one}):
        assert without_prefix(kept) == kept
