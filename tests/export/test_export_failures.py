"""Exports that cannot be: each says why in one line and leaves no file."""

import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindcv.errors import NotFiniteError, UserError
from mindcv.export import (
    ExportError,
    ExportRequest,
    Reference,
    expect,
    export_mindir,
    export_onnx,
    quantize_onnx,
)
from mindcv.models import MnasNet
from mindcv.models.mnasnet import SMALL
from tests.support.exporting import CLASSES, image_format, pixels, random_network


class Doubled(MnasNet):
    """A network that does more than its cells say."""

    def forward_head(self, x):
        return 2 * super().forward_head(x)


def message(call) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def request(path, **options):
    return message(lambda: ExportRequest(**{"format": "onnx", "output": str(path), **options}))


def test_a_file_that_computes_something_else_is_not_kept(tmp_path):
    network = Doubled(SMALL, 1.0, 8, num_classes=CLASSES)
    network.classifier.bias.set_data(ms.Tensor(np.ones(CLASSES, np.float32)))
    path = tmp_path / "net.onnx"
    path.write_text("an earlier file")
    with pytest.raises(ExportError) as caught:
        export_onnx(network, path, expect(network, image_format(size=32)), metadata={})
    assert caught.value.status == 1
    assert str(caught.value).startswith(
        f"{path}: the exported network's logits differ from the network's by "
    )
    assert str(caught.value).endswith(" of the largest, more than 0.0001: the file is not kept")
    assert path.read_text() == "an earlier file"
    assert list(tmp_path.iterdir()) == [path]


def test_a_network_that_returns_nan_is_named_as_the_fault():
    network = nn.SequentialCell([nn.Conv2d(3, 5, 8, pad_mode="valid", weight_init=np.nan), nn.Flatten()])
    with pytest.raises(NotFiniteError, match=r"^the network returns NaN or infinity: use another"):
        expect(network, image_format(size=8))


def test_a_mindir_file_of_another_network_is_not_kept(tmp_path):
    network, other = (
        nn.SequentialCell([nn.Conv2d(3, 5, 8, pad_mode="valid", weight_init=value), nn.Flatten()])
        for value in ("zeros", "ones")
    )
    reference = expect(network, image_format(size=8))
    with pytest.raises(ExportError, match="differ from the network's"):
        export_mindir(other, tmp_path / "net.mindir", reference, metadata={})
    assert list(tmp_path.iterdir()) == []


def test_a_difference_is_relative_to_the_largest_logit_of_its_batch_and_to_1_at_least():
    batches = [pixels(1, size=4), pixels(3, size=4)]
    logits = [np.float32([[0.25, -0.5]]), np.float32([[1, 2], [3, -200], [5, 6]])]
    reference = Reference(images=image_format(size=4, uint8_input=True), batches=batches, logits=logits)
    assert str(reference) == "4 images in batches of 1, 3"
    path = Path("net.onnx")

    def check(small, large):
        errors = {1: small, 3: large}
        answers = {len(expected): expected + errors[len(expected)] for expected in logits}
        return reference.check(lambda images: answers[len(images)], path)

    assert check(0, 0) == 0
    assert check(5e-5, 0) == pytest.approx(5e-5, rel=0.01)
    assert check(0, 0.01) == pytest.approx(5e-5, rel=0.01)
    for small, large in ((2e-4, 0), (0, 0.03), (np.nan, 0), (0, np.inf)):
        with pytest.raises(ExportError, match=r"^net\.onnx: the exported network's logits differ"):
            check(small, large)
    with pytest.raises(ExportError, match=r"logits of shape \(1, 9\) and the network \(1, 2\)"):
        reference.check(lambda images: np.zeros((len(images), 9)), path)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [(nn.GELU(), "GELU"), (nn.BatchNorm2d(3), "BatchNorm2d"), (nn.MaxPool2d(1), "MaxPool2d")],
)
def test_a_cell_without_a_counterpart_is_named(cell, kind, tmp_path):
    network = random_network()
    network.features = nn.SequentialCell([nn.SequentialCell([nn.ReLU(), cell]), *network.features.cells()])
    reference = expect(network, image_format(size=32))
    found = message(lambda: export_onnx(network, tmp_path / "net.onnx", reference, metadata={}))
    assert found == (
        f"the network's cell 'features.0.1' is a {kind}, which cannot be exported: remove it, or "
        "give it a method composition"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_another_kind_is_refused(tmp_path):
    network = nn.SequentialCell([nn.Conv2d(3, CLASSES, 32, pad_mode="valid"), nn.Flatten()])
    reference = expect(network, image_format(size=32))
    assert message(lambda: export_onnx(network, tmp_path / "net.onnx", reference, metadata={})) == (
        "SequentialCell does not describe its parts, which an export needs: give it a method "
        "parts() that returns mindcv.structure.Parts"
    )
    network = random_network()
    network.reset_classifier(0)
    reference = expect(network, image_format(size=32))
    assert message(lambda: export_onnx(network, tmp_path / "net.onnx", reference, metadata={})) == (
        "MnasNet ends in Identity, and only networks that end in a Dense layer can be exported: give it a "
        "classifier"
    )


@pytest.mark.parametrize("opset", [12, 22])
def test_operators_of_another_version_are_refused(opset, tmp_path):
    assert request(tmp_path / "net.onnx", opset=opset) == (
        f"opset={opset} is not supported: give a number from 13 to 21"
    )


def test_a_file_of_another_name_or_place_is_refused(tmp_path):
    path = tmp_path / "net.pb"
    assert request(path) == f"output={path} does not end in .onnx, as its format's files do: rename it"
    path = tmp_path / "net.onnx"
    assert request(path, format="mindir") == (
        f"output={path} does not end in .mindir, as its format's files do: rename it"
    )
    missing = tmp_path / "missing" / "net.onnx"
    assert (
        request(missing) == f"output={missing} has no folder {missing.parent}: make it, or give another path"
    )
    path.mkdir()
    assert request(path) == f"output={path} is a folder: give the path of a file"
    if Path("/proc/self").is_dir():
        assert request("/proc/self/net.onnx").startswith("output=/proc/self/net.onnx cannot be written (")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"format": "mindir", "opset": 18}, "opset=18 has no effect on a MindIR file: "),
        ({"format": "mindir", "quantize": True}, "quantize=True has no effect on a MindIR file: "),
        ({"calibration_images": 5}, "calibration_images=5 needs the INT8 version: "),
        ({"report": "r.json"}, "report=r.json needs the INT8 version: "),
        ({"quantize": True, "calibration_images": 0}, "calibration_images=0 must be a positive integer"),
        ({"quantize": True, "report": "r.txt"}, "output=r.txt does not end in .json, "),
    ],
)
def test_an_option_without_effect_or_out_of_range_is_refused(options, refusal, tmp_path):
    assert request(tmp_path / f"net.{options.get('format', 'onnx')}", **options).startswith(refusal)


@pytest.mark.parametrize("missing", [["onnx"], ["onnxruntime"], ["onnx", "onnxruntime"]])
def test_missing_packages_are_named(missing, monkeypatch, tmp_path):
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    expected = "an ONNX file is written by onnx and checked by onnxruntime: pip install " + " ".join(missing)
    assert request(tmp_path / "net.onnx") == expected
    ExportRequest(format="mindir", output=str(tmp_path / "net.mindir"))
    network = nn.ReLU()
    reference = expect(network, image_format(size=4))
    assert message(lambda: export_onnx(network, tmp_path / "net.onnx", reference, metadata={})) == expected


def test_an_int8_version_without_images_to_calibrate_with_is_refused(tmp_path):
    path, output = tmp_path / "net.onnx", tmp_path / "net_int8.onnx"
    network = random_network()
    images = image_format(size=32)
    export_onnx(network, path, expect(network, images), metadata={})
    assert message(lambda: quantize_onnx(path, output, images, [])) == (
        f"{output}: there is no image to calibrate with: give a folder with images"
    )

    def unreadable():
        yield pixels(1, size=32)
        raise UserError("a.jpg cannot be read")

    assert message(lambda: quantize_onnx(path, output, images, unreadable())) == "a.jpg cannot be read"
    assert list(tmp_path.iterdir()) == [path]
