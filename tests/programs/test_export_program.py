"""export.py as a user meets it: a real process, its files, and their use without the toolkit."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import onnxruntime
import pytest
from mindspore import Tensor
from PIL import Image

from mindcv.config import Config
from mindcv.data import create_source
from mindcv.export import ExportError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.runtime.program import run_program
from tests.support.exporting import random_network

ROOT = Path(__file__).parents[2]
OPTIONS = {"model": "mnasnet_small", "image_resize": 32, "crop_pct": 0.8, "padding": "same", "bn_eps": 1e-4}


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    """A working directory with a checkpoint of a training."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    folder = tmp_path_factory.mktemp("work")
    classes = list(create_source("", str(photos), "val").classes)
    network = random_network(classes=3, padding="same", bn_eps=1e-4)
    metadata = {"config": Config.from_options(OPTIONS).options(), "classes": classes}
    write_checkpoint(folder / "net.ckpt", network.parameters_dict(), metadata)
    return folder


def run(cwd, *arguments):
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "PYTHONPATH")}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", timeout=300
    )


def test_a_checkpoint_becomes_two_checked_files_that_need_no_toolkit(folder, photos):
    arguments = ("--ckpt_path", "net.ckpt", "--format", "onnx", "--output", "mnasnet.onnx", "--uint8_input")
    more = ("--quantize", "--calibration_images", 8, "--report", "report.json", "--data_dir", photos)
    done = run(folder, ROOT / "export.py", *arguments, *more, "--num_parallel_workers", 1, "--mode", 1)
    assert (done.returncode, done.stderr) == (0, "")
    first, _, plain, small, measured = done.stdout.splitlines()
    difference = r"mnasnet\.onnx: logits differ from the network's by at most (\d\.\de-\d\d) "
    found = re.fullmatch(difference + r"\(12 images in batches of 1, 3, 8\)", first)
    assert found is not None
    assert float(found[1]) <= 1e-4
    row = r"  \d\.\d{4}  1\.0000 +\d\.\d\d MB +\d+\.\d\d ms"
    assert re.fullmatch(r"mnasnet\.onnx     " + row, plain)
    assert re.fullmatch(r"mnasnet_int8\.onnx" + row, small)
    assert measured.startswith("24 images of 32 x 32; latency of one image, median of 50 runs, ")
    report = json.loads((folder / "report.json").read_text())
    assert (report["model"], report["size"], report["calibration"]) == ("mnasnet_small", 32, 8)
    assert [entry["file"] for entry in report["files"]] == ["mnasnet.onnx", "mnasnet_int8.onnx"]
    names = {path.name for path in folder.iterdir()}
    assert names == {"net.ckpt", "mnasnet.onnx", "mnasnet_int8.onnx", "report.json"}

    photo = next(iter(sorted((photos / "val").glob("*/*.JPEG"))))
    (folder / "photo.jpg").write_bytes(photo.read_bytes())
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(encoding="utf-8"), re.S)
    used = run(folder, "-c", code[0])
    assert (used.returncode, used.stderr) == (0, "")
    assert used.stdout.splitlines() == [expected_class(folder, photo)]


def expected_class(folder, photo):
    """The class that the network gives a photo: 40 pixels for the shorter side, of which it sees 32."""
    image = Image.open(photo).convert("RGB")
    width, height = image.size
    shorter = min(width, height)
    image = image.resize((40 * width // shorter, 40 * height // shorter), Image.Resampling.BILINEAR)
    top, left = (image.height - 32) // 2, (image.width - 32) // 2
    pixels = np.asarray(image, np.float32)[top : top + 32, left : left + 32].transpose(2, 0, 1)
    mean, std = (np.reshape(v, (3, 1, 1)) for v in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
    network = random_network(classes=3, padding="same", bn_eps=1e-4)
    logits = network(Tensor(((pixels - mean) / std)[None].astype(np.float32))).asnumpy()
    session = onnxruntime.InferenceSession(str(folder / "mnasnet.onnx"), providers=["CPUExecutionProvider"])
    return json.loads(session.get_modelmeta().custom_metadata_map["mindcv"])["classes"][logits[0].argmax()]


@pytest.mark.slow
def test_a_checkpoint_becomes_a_mindir_file_with_its_description(folder):
    arguments = ("--ckpt_path", "net.ckpt", "--format", "mindir", "--output", "mnasnet.mindir")
    done = run(folder, ROOT / "export.py", *arguments, "--uint8_input")
    assert (done.returncode, done.stderr) == (0, "")
    pattern = r"mnasnet\.mindir: .* by at most \d\.\de[+-]\d\d \(4 images in batches of 1, 3\)\n"
    assert re.fullmatch(pattern, done.stdout)
    described = json.loads((folder / "mnasnet.mindir.json").read_text(encoding="utf-8"))
    assert (described["model"], described["input"]["type"]) == ("mnasnet_small", "uint8")


def test_a_mistake_is_one_line_and_status_2(folder, tmp_path):
    arguments = ("--format", "onnx", "--output", "a.pb", "--ckpt_path", folder / "net.ckpt")
    done = run(tmp_path, ROOT / "export.py", *arguments)
    error = "error: output=a.pb does not end in .onnx, as its format's files do: rename it\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", error)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_differs_from_its_network_is_status_1(capsys):
    def fail():
        raise ExportError("net.onnx: differs")

    handler = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as caught:
            run_program(fail)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert (caught.value.code, capsys.readouterr().err) == (1, "error: net.onnx: differs\n")
