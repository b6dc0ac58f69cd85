"""The tables of docs/models.md, docs/weights.md and docs/export.md against the models."""

import re
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.export import ImageFormat
from mindcv.export.onnx_graph import onnx_model
from mindcv.models import MnasNet, MobileNetV2, MobileNetV3, create_model
from mindcv.models.weights.layouts import find_layout
from tests.support.exporting import MEAN, STD

DOCS = Path(__file__).parents[2] / "docs"
FAMILIES = {"MnasNet": MnasNet, "MobileNetV2": MobileNetV2, "MobileNetV3": MobileNetV3}
EXAMPLES = {
    "MnasNet, SE-MnasNet, MobileNetV2": ["mnasnet_050", "semnasnet_075", "mnasnet_small", "mobilenet_v2_050"],
    "`mobilenet_v2_140`": ["mobilenet_v2_140"],
    "MobileNetV3-Large": ["mobilenet_v3_large_100"],
    "MobileNetV3-Small": ["mobilenet_v3_small_100"],
}


@pytest.fixture(autouse=True)
def _pynative():
    ms.set_context(mode=ms.PYNATIVE_MODE)


def table(document: str, heading: str) -> list[list[str]]:
    """The rows of the first table behind a text, without its head."""
    text = (DOCS / document).read_text(encoding="utf-8").partition(heading)[2]
    rows = re.search(r"\n\|.*\n\|[-|]+\n((?:\|.*\n)+)", text)
    assert rows is not None
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]


def test_the_epsilons_are_those_of_the_families():
    rows = table("weights.md", "## The epsilon of batch normalization")
    assert {row[0] for row in rows} == set(FAMILIES)
    for name, *epsilons in rows:
        for library, eps in zip(("mindcv", "timm", "torchvision"), epsilons, strict=True):
            layout = find_layout(FAMILIES[name].weight_layouts, library)
            assert layout is not None
            assert float(eps) == layout.bn_eps


def test_the_shapes_of_features_are_those_of_the_networks():
    rows = table("models.md", "`net.forward_features(images)` returns")
    assert [row[0] for row in rows] == list(EXAMPLES)
    for family, features, logits in rows:
        for name in EXAMPLES[family]:
            network = create_model(name, 5).set_train(False)
            channels = int(features.removeprefix("(N, ").partition(",")[0])
            x = Tensor(np.ones((1, 3, 65, 33), np.float32))
            assert network.forward_features(x).shape == (1, channels, 3, 2)
            network.reset_classifier(0)
            assert logits == f"(N, {network(x).shape[1]})"


@pytest.mark.parametrize("uint8_input", [False, True])
@pytest.mark.parametrize("name", ["semnasnet_075", "mobilenet_v2_050", "mobilenet_v3_small_100"])
def test_every_operator_of_an_exported_file_is_named(name, uint8_input):
    images = ImageFormat(channels=3, size=32, mean=MEAN, std=STD, uint8_input=uint8_input)
    graph = onnx_model(create_model(name, 5).set_train(False), images, 20).graph
    section = (DOCS / "export.md").read_text(encoding="utf-8").partition("## Contents of the file")[2]
    named = set(re.findall(r"\w+", section.partition("\n## ")[0]))
    assert {node.op_type for node in graph.node} <= named
