"""ONNX files of every family of networks, run by ONNX Runtime against MindSpore."""

import json
import stat
from collections import Counter

import mindspore as ms
import numpy as np
import onnx
import onnxruntime
import pytest
from mindspore import Tensor, nn

from mindcv import create_model
from mindcv.data import OnnxTeacher
from mindcv.export import expect, export_onnx
from mindcv.export.folding import fold_norm, fold_scale
from mindcv.export.onnx_file import OPSETS
from tests.support.exporting import (
    CLASSES,
    MEAN,
    STD,
    assert_same_logits,
    image_format,
    network_logits,
    normalized,
    pixels,
    random_network,
)

KINDS = [  # of network, padding and input
    ("mnasnet_050", "symmetric", False),
    ("mnasnet_050", "same", True),
    ("semnasnet_075", "symmetric", True),
    ("semnasnet_075", "same", False),
    ("mnasnet_small", "symmetric", False),
    ("mnasnet_small", "same", True),
    ("mobilenet_v2_050", "symmetric", False),
    ("mobilenet_v2_050", "same", True),
    ("mobilenet_v3_small_100", "symmetric", True),
    ("mobilenet_v3_small_100", "same", False),
    pytest.param("mobilenet_v3_large_100", "same", False, marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def small():
    """A network and what it computes."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network = random_network()
    return network, expect(network, image_format(uint8_input=True))


def export(network, path, channels=3, *, uint8_input=False, **options):
    reference = expect(network, image_format(channels, uint8_input=uint8_input))
    difference = export_onnx(network, path, reference, metadata={"classes": ["ä"]}, **options)
    assert 0 <= difference <= 1e-4
    return path


def run(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images})
    return logits


@pytest.mark.parametrize(("family", "padding", "uint8_input"), KINDS)
def test_onnx_runtime_gives_the_networks_logits_of_any_batch_and_size(family, padding, uint8_input, tmp_path):
    network = random_network(family, padding=padding, drop_rate=0.3, drop_path_rate=0.3)
    path = export(network, tmp_path / "net.onnx", uint8_input=uint8_input)
    for batch, size in ((3, 64), (1, 49)):
        images = pixels(batch, size=size)
        found = run(path, images if uint8_input else normalized(images))
        assert_same_logits(found, network_logits(network, images))


def test_a_network_of_grey_images_takes_grey_images(tmp_path):
    network, images = random_network(in_channels=1), pixels(2, channels=1)
    expected = network_logits(network, images)
    plain, raw = (export(network, tmp_path / f"{u}.onnx", 1, uint8_input=u) for u in (False, True))
    assert_same_logits(run(plain, normalized(images)), expected)
    assert_same_logits(run(raw, images), expected)


def test_the_epsilon_is_the_networks(tmp_path):
    network = random_network(bn_eps=0.1)
    path = export(network, tmp_path / "net.onnx")
    assert_same_logits(run(path, normalized(pixels(2))), network_logits(network, pixels(2)))


@pytest.mark.parametrize("opset", OPSETS)
def test_each_version_of_the_operators_is_valid_and_as_old_a_format_as_it_can_be(opset, small, tmp_path):
    network, reference = small
    path = tmp_path / "net.onnx"
    assert export_onnx(network, path, reference, metadata={}, opset=opset) <= 1e-4
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", opset)]
    assert model.ir_version == {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10}[opset]


def test_normalisation_is_folded_and_what_only_training_needs_is_gone(tmp_path):
    network = random_network("semnasnet_075", drop_rate=0.3, drop_path_rate=0.3)
    model = onnx.load(export(network, tmp_path / "net.onnx"))
    cells = Counter(type(cell).__name__ for _, cell in network.cells_and_names())
    assert Counter(node.op_type for node in model.graph.node) == {
        "Conv": cells["Conv2d"],
        "Relu": cells["ReLU"],
        "Add": sum(cell.skip for _, cell in network.cells_and_names() if type(cell).__name__ == "Block"),
        "GlobalAveragePool": cells["SqueezeExcite"] + 1,
        "Sigmoid": cells["SqueezeExcite"],
        "Mul": cells["SqueezeExcite"],
        "Flatten": 1,
        "Gemm": 1,
    }
    names = [constant.name for constant in model.graph.initializer]
    assert set(names) <= set(network.parameters_dict()) | {n.replace("weight", "bias") for n in names}
    assert model.opset_import[0].version == 20


@pytest.mark.parametrize(("uint8_input", "kind"), [(False, "tensor(float)"), (True, "tensor(uint8)")])
def test_a_file_says_what_it_takes_and_what_it_is(uint8_input, kind, tmp_path):
    path = export(random_network(), tmp_path / "net.onnx", uint8_input=uint8_input)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    described = [(v.name, v.type, v.shape) for v in (*session.get_inputs(), *session.get_outputs())]
    assert described == [
        ("images", kind, ["N", 3, "H", "W"]),
        ("logits", "tensor(float)", ["N", CLASSES]),
    ]
    metadata = session.get_modelmeta().custom_metadata_map
    assert {key: json.loads(value) for key, value in metadata.items()} == {"mindcv": {"classes": ["ä"]}}
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600
    assert [other.name for other in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize("uint8_input", [False, True])
def test_an_exported_file_can_teach(uint8_input, tmp_path):
    network = random_network()
    path = export(network, tmp_path / "net.onnx", uint8_input=uint8_input)
    teacher = OnnxTeacher(path, mean=MEAN, std=STD, num_classes=CLASSES)
    teacher.check(batch_size=4, image_resize=64)
    assert_same_logits(teacher(pixels(4)), network_logits(network, pixels(4)))


def test_folding_is_exact_to_the_last_digit_of_float64():
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 3, 5, 5)), rng.normal(size=4)
    gamma, beta, mean = rng.normal(size=(3, 4))
    variance, eps = rng.uniform(0, 1, 4), 1e-3
    image = rng.normal(size=(3, 5, 5))
    plain = np.einsum("oihw,ihw->o", weight, image) + bias
    folded_weight, folded_bias = fold_norm(weight, bias, gamma, beta, mean, variance, eps=eps)
    np.testing.assert_allclose(
        np.einsum("oihw,ihw->o", folded_weight, image) + folded_bias,
        (plain - mean) / np.sqrt(variance + eps) * gamma + beta,
        rtol=1e-12,
        atol=1e-12,
    )
    divided = image / np.reshape([2.0, 3.0, 5.0], (3, 1, 1))
    np.testing.assert_allclose(
        np.einsum("oihw,ihw->o", fold_scale(weight, [2.0, 3.0, 5.0]), image),
        np.einsum("oihw,ihw->o", weight, divided),
        rtol=1e-12,
        atol=1e-12,
    )


def test_a_network_in_training_is_exported_as_in_evaluation(tmp_path):
    network = random_network(drop_rate=0.5).set_train(True)
    path = export(network, tmp_path / "net.onnx")
    assert not network.training
    assert_same_logits(run(path, normalized(pixels(2))), network_logits(network, pixels(2)))


@pytest.mark.parametrize(
    "options",
    [
        {"pad_mode": "valid", "dilation": 2},
        {"pad_mode": "pad", "padding": (2, 0, 1, 0), "has_bias": True},
        {"pad_mode": "same", "stride": 2, "group": 3},
    ],
)
def test_a_convolution_keeps_its_padding_dilation_groups_and_bias(options, tmp_path):
    network = create_model("mnasnet_small", CLASSES)
    cells = list(network.features.cells())
    ms.set_seed(1)
    network.features = nn.SequentialCell(
        [nn.Conv2d(3, 6, 3, **options), nn.ReLU(), nn.Conv2d(6, 3, 1), *cells]
    )
    path = export(network, tmp_path / "net.onnx")
    for size in (64, 65):
        images = normalized(pixels(2, size=size))
        assert_same_logits(run(path, images), network(Tensor(images)).asnumpy())
