"""INT8 versions, and what is measured of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import onnxruntime
import pytest
from mindspore import Tensor
from onnx import numpy_helper

from mindcv.export import Measurement, expect, export_onnx, measure, quantize_onnx, table, write_report
from mindcv.export.measure import correct
from mindcv.loss import create_loss
from mindcv.step import EvalStep
from tests.support.exporting import CLASSES, image_format, network_logits, pixels, random_network

ROOT = Path(__file__).parents[2]
SIZE = 32


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network, its images, its file and the INT8 version."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    folder = tmp_path_factory.mktemp("export")
    network, images = random_network("semnasnet_075"), image_format(size=SIZE, uint8_input=True)
    export_onnx(network, folder / "net.onnx", expect(network, images), metadata={"classes": ["ä"]})
    calibration = (pixels(8, size=SIZE, seed=seed) for seed in range(4))
    quantize_onnx(folder / "net.onnx", folder / "net_int8.onnx", images, calibration)
    return network, images, folder / "net.onnx", folder / "net_int8.onnx"


def test_an_int8_version_takes_the_same_images_and_says_the_same_about_itself(files):
    _, _, *paths = files
    plain, small = (onnxruntime.InferenceSession(str(p), providers=["CPUExecutionProvider"]) for p in paths)
    for values in (lambda s: s.get_inputs(), lambda s: s.get_outputs()):
        assert [(v.name, v.type, v.shape) for v in values(plain)] == [
            (v.name, v.type, v.shape) for v in values(small)
        ]
    assert small.get_modelmeta().custom_metadata_map["mindcv"] == json.dumps({"classes": ["ä"]})
    onnx.checker.check_model(onnx.load(paths[1]), full_check=True)
    assert paths[1].stat().st_size < 0.35 * paths[0].stat().st_size
    assert {path.name for path in paths[0].parent.iterdir()} == {path.name for path in paths}


def test_weights_are_signed_in_7_bits_with_a_scale_for_each_output_channel(files):
    model = onnx.load(files[3])
    constants = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    weights = {name: c for name, c in constants.items() if name.endswith(".weight_quantized")}
    convolutions = [node for node in onnx.load(files[2]).graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(weights) == len(convolutions)
    for name, weight in weights.items():
        assert weight.dtype == np.int8
        assert -64 <= weight.min() <= weight.max() <= 64
        if "classifier" not in name:
            assert constants[name.replace("_quantized", "_scale")].shape == weight.shape[:1]


def test_an_int8_version_computes_nearly_the_same(files):
    network, _, _, path = files
    batch = pixels(16, size=SIZE, seed=9)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": batch})
    expected = network_logits(network, batch)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97


def test_files_are_scored_on_each_image_once_and_timed(files):
    network, images, *paths = files
    batches = [pixels(n, size=SIZE, seed=n) for n in (5, 5, 2)]
    logits = np.concatenate([network_logits(network, batch) for batch in batches])
    labels = logits.argsort(1)[np.arange(12), [-1] * 4 + [-2] * 3 + [-5] * 2 + [-6] * 3]
    parts = np.split(labels, [5, 10])
    plain, small = measure(paths, images, zip(batches, parts, strict=True))
    assert (plain.file, plain.images, plain.top1, plain.top5) == ("net.onnx", 12, 4, 9)
    assert (small.file, small.images) == ("net_int8.onnx", 12)
    for found, path in zip((plain, small), paths, strict=True):
        assert found.bytes == path.stat().st_size
        assert 0 < found.latency_ms < 1000


def test_ties_and_nan_are_ranked_as_in_the_toolkits_evaluation():
    rng = np.random.default_rng(0)
    logits = rng.integers(0, 4, (200, CLASSES)).astype(np.float32)
    logits[::7] = np.nan
    logits[1::7, 2] = np.nan
    labels = rng.integers(0, CLASSES, 200).astype(np.int32)
    step = EvalStep(ms.nn.Identity(), create_loss("CE", reduction="none"))
    ms.set_context(mode=ms.PYNATIVE_MODE)
    _, top1, top5 = step(Tensor(logits), Tensor(labels))
    assert (correct(logits, labels, 1), correct(logits, labels, 5)) == (int(top1), int(top5))
    few, labels = logits[:, :3], labels % 3
    _, _, top5 = step(Tensor(few), Tensor(labels))
    assert correct(few, labels, 5) == int(top5)


def test_the_table_and_the_report_hold_what_was_measured(tmp_path):
    measured = [
        Measurement(file="net.onnx", images=400, top1=300, top5=390, bytes=7_570_000, latency_ms=1.234),
        Measurement(file="net_int8.onnx", images=400, top1=299, top5=388, bytes=2_220_000, latency_ms=0.5),
    ]
    *lines, environment = table(measured, 48).splitlines()
    assert lines == [
        "                top-1   top-5       size    latency",
        "net.onnx       0.7500  0.9750    7.57 MB    1.23 ms",
        "net_int8.onnx  0.7475  0.9700    2.22 MB    0.50 ms",
    ]
    assert environment.startswith("400 images of 48 x 48; latency of one image, median of 50 runs, ")
    write_report(tmp_path / "r.json", measured, model="mnasnet_075")
    report = json.loads((tmp_path / "r.json").read_text())
    assert [entry["top1"] for entry in report.pop("files")] == [300, 299]
    assert (report["model"], report["latency_runs"]) == ("mnasnet_075", 50)
    assert (report["onnxruntime"], report["threads"] >= 1) == (onnxruntime.__version__, True)


@pytest.mark.slow
def test_real_accuracy_survives_on_digits(tmp_path):
    """Two minutes: after fewer epochs batch normalisation's statistics lag behind, and with them accuracy."""

    def run(program, *arguments):
        environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "PYTHONPATH")}
        command = [sys.executable, str(ROOT / program), *map(str, arguments)]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=900)

    recipe = ROOT / "configs" / "mnasnet" / "mnasnet0.75_digits_cpu.yaml"
    run("train.py", "-c", recipe)
    checkpoint = tmp_path / "ckpt" / "digits" / "mnasnet_075_best.ckpt"
    for flags in ((), ("--uint8_input",)):
        arguments = ("--format", "onnx", "--output", "net.onnx", "--ckpt_path", checkpoint)
        images = ("--data_dir", tmp_path / "data" / "digits")
        run("export.py", *arguments, *images, "--quantize", "--report", "report.json", *flags)
        plain, small = json.loads((tmp_path / "report.json").read_text())["files"]
        assert plain["images"] == small["images"] == 360
        assert plain["top1"] > 0.9 * 360
        assert small["top1"] >= plain["top1"] - 4
        assert small["bytes"] < 0.35 * plain["bytes"]


@pytest.mark.parametrize("name", ["mobilenet_v2_050", "mobilenet_v3_small_100"])
def test_an_int8_version_of_another_family_is_near_its_network(name, tmp_path):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network, images = random_network(name), image_format(size=SIZE, uint8_input=True)
    path, small = tmp_path / "net.onnx", tmp_path / "net_int8.onnx"
    export_onnx(network, path, expect(network, images), metadata={})
    quantize_onnx(path, small, images, (pixels(8, size=SIZE, seed=seed) for seed in range(4)))
    batch = pixels(16, size=SIZE, seed=9)
    found = onnxruntime.InferenceSession(str(small), providers=["CPUExecutionProvider"]).run(
        None, {"images": batch}
    )[0]
    expected = network_logits(network, batch)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97
