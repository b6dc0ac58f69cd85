"""Files of weights: what they hold is read as it is, and what cannot be read says why in one line."""

import argparse
import json
import logging
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import safetensors.torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindcv.errors import UserError
from mindcv.models import MnasNet
from mindcv.models.weights.layouts import detect_layout, find_layout
from mindcv.models.weights.weight_files import read_weights, write_weights
from tests.support.peers import torch

ROOT = Path(__file__).parents[3]
STATE = {"conv_stem.weight": torch.ones(2, 3, 1, 1), "bn1.running_mean": torch.tensor([0.5, -2.0])}
TIMM_LAYOUT, TORCHVISION_LAYOUT = (
    find_layout(MnasNet.weight_layouts, library) for library in ("timm", "torchvision")
)
SUFFIXES = (".ckpt", ".safetensors", ".pth", ".pt", ".bin", ".pth.tar")
METADATA = {"model": "mnasnet_100", "bn_eps": 1e-3, "classes": ["猫", "Katze"], "config": {"lr": None}}


class Attack:
    """Unpickled carelessly, it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def message(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_weights(path)
    return str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2], "count": np.array(3, np.int64)}
    for _ in range(2):
        write_weights(path, tensors, METADATA)
    found = read_weights(path)
    assert list(tmp_path.iterdir()) == [path]
    assert (found.path, found.metadata) == (path, METADATA)
    assert {name: value.dtype for name, value in found.tensors.items()} == {
        "a": np.float32,
        "count": np.int64,
    }
    for name, value in tensors.items():
        np.testing.assert_array_equal(found.tensors[name], value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_pytorch_reads_what_is_written(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_weights(path, {"a": np.ones((2, 1), np.float32)}, METADATA, layout=TORCHVISION_LAYOUT)
    state = safetensors.torch.load_file(path) if suffix == ".safetensors" else torch.load(path)
    assert torch.equal(state["a"], torch.ones(2, 1))
    if suffix == ".pth":
        assert isinstance(state, OrderedDict)
        assert state._metadata[""] == {"version": 2}
    else:
        with safetensors.safe_open(path, "np") as file:
            kept = file.metadata()
        assert (kept["format"], json.loads(kept["mindcv"])) == ("pt", METADATA)


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3, "arch": "mnasnet_100", "args": argparse.Namespace(lr=0.1)},
        {"model": STATE, "optimizer": {"state": {}}, "epoch": 3},
        {f"module.{name}": value for name, value in STATE.items()},
        {"state_dict": {f"module.{name}": value for name, value in STATE.items()}},
    ],
    ids=["bare", "timm", "torchvision", "parallel", "nested-parallel"],
)
def test_a_state_dict_is_found_where_training_scripts_keep_it(tmp_path, content):
    path = tmp_path / "a.pth"
    torch.save(content, path)
    found = read_weights(path)
    assert list(found.tensors) == list(STATE)
    assert (detect_layout(found.tensors, MnasNet.weight_layouts), found.metadata) == ("timm", {})
    np.testing.assert_array_equal(found.tensors["bn1.running_mean"], [0.5, -2.0])


@pytest.mark.parametrize("keys", [("state_dict", "state_dict_ema"), ("model", "model_ema")])
def test_ema_weights_are_separated_from_the_weights(tmp_path, keys):
    path = tmp_path / "a.pth"
    average = {
        "n_averaged": torch.tensor(5),
        **{f"module.{name}": 2 * value for name, value in STATE.items()},
    }
    torch.save({keys[0]: STATE, keys[1]: average}, path)
    found = read_weights(path).tensors
    assert set(found) == {*STATE, *(f"ema.{name}" for name in STATE), "ema.n_averaged"}
    np.testing.assert_array_equal(found["bn1.running_mean"], [0.5, -2.0])
    np.testing.assert_array_equal(found["ema.bn1.running_mean"], [1.0, -4.0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".ckpt"])
def test_other_floats_become_float32_and_the_log_says_so(tmp_path, caplog, dtype, suffix):
    path, values = tmp_path / f"a{suffix}", torch.tensor([0.1, -3.0]).to(dtype)
    if suffix == ".safetensors":
        safetensors.torch.save_file({"a": values}, path)
    elif suffix == ".pth":
        torch.save({"a": values}, path)
    else:
        kind = getattr(ms, str(dtype).removeprefix("torch."))
        ms.save_checkpoint([{"name": "a", "data": ms.Tensor([0.1, -3.0], kind)}], str(path))
    with caplog.at_level(logging.INFO, "mindcv"):
        found = read_weights(path).tensors["a"]
    np.testing.assert_array_equal(found, values.float().numpy())
    assert found.dtype == np.float32
    remark = "has no checksum, so damage to its values cannot be noticed: 'mindcv add-checksum' adds one"
    becomes = f"its {str(dtype).removeprefix('torch.')} becomes float32"
    said = [becomes] if suffix == ".pth" else [remark, becomes]  # PyTorch's archives hold checksums
    assert caplog.messages == [f"{path}: {text}" for text in said]


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_could_run_code_is_not_loaded(tmp_path, legacy):
    path, made = tmp_path / "a.pth", tmp_path / "attacked"
    kind = {"_use_new_zipfile_serialization": not legacy}
    torch.save({"state_dict": STATE, "more": Attack(made)}, path, **kind)
    assert message(path) == (
        f"{path}: is not loaded, because it holds posix.mkdir and could run code: "
        "save its state_dict() alone, or as .safetensors"
    )
    torch.save(torch.nn.Linear(2, 2), path, **kind)
    assert message(path).startswith(
        f"{path}: is not loaded, because it holds torch.nn.modules.linear.Linear and could run code: "
    )
    path.write_bytes(pickle.dumps(Attack(made)))
    assert message(path) == (
        f"{path}: not a PyTorch file, or damaged (it begins like another kind of file): check the file"
    )
    assert not made.exists()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (torch.ones(2), "contains a Tensor instead of a state dict: save a state_dict()"),
        (
            {"net": STATE, "epoch": 3},
            "does not contain a state dict: 'net' is not a tensor (its keys: net, epoch): save a ",
        ),
        (
            {"model": STATE, "state_dict": STATE},
            "holds state_dict and model, and it is ambiguous which to load: ",
        ),
        ({"state_dict": {}}, "has no tensors: use another file"),
        ({"a": torch.ones(2).to_sparse()}, "'a' is not an ordinary tensor (torch.float32): save float32"),
    ],
    ids=["tensor", "unknown", "ambiguous", "empty", "sparse"],
)
def test_a_pytorch_file_without_a_state_dict_says_what_it_holds(tmp_path, content, fault):
    path = tmp_path / "a.pth"
    torch.save(content, path)
    assert message(path).startswith(f"{path}: {fault}")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin", ".pth.tar"])
def test_files_that_are_no_files_of_their_kind_say_so(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    kind, reason = "PyTorch", "it begins like another kind of file"
    if suffix == ".safetensors":
        kind, reason = "safetensors", "its header has an impossible length"
    assert message(path) == f"{path}: no such file: check the path"
    path.mkdir()
    assert message(path) == f"{path}: the file cannot be read (Is a directory): check the path"
    path.rmdir()
    path.touch()
    assert message(path) == f"{path}: the file is empty: use another one"
    other = tmp_path / ("b.pth" if suffix == ".safetensors" else "b.safetensors")
    write_weights(other, {"a": np.ones(3, np.float32)}, {})
    for content in (other.read_bytes(), b"<html>not found</html>", b"\x80"):
        path.write_bytes(content)
        assert message(path) == f"{path}: not a {kind} file, or damaged ({reason}): check the file"


def test_the_end_of_a_name_must_say_what_the_file_is(tmp_path):
    path = tmp_path / "a.h5"
    kinds = ".ckpt, .safetensors, .pth, .pt, .bin, .pth.tar"
    assert message(path) == f"{path}: unknown kind of file: the names of files of weights end in {kinds}"
    with pytest.raises(UserError, match="unknown kind of file"):
        write_weights(path, {}, {})


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_never_anything_else(tmp_path, suffix, data):
    path = tmp_path / f"a{suffix}"
    if not path.exists():
        write_weights(path, {"a": np.ones(3, np.float32)}, {})
        path.with_name("whole").write_bytes(path.read_bytes())
    content = bytearray(path.with_name("whole").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = read_weights(path).tensors
    except UserError:
        found = {}
    assert all(value.dtype != object for value in found.values())


def test_types_that_are_no_weights_and_metadata_that_is_not_ours_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"a": torch.ones(2).to(torch.float8_e4m3fn)}, path)
    assert message(path) == f"{path}: 'a' is F8_E4M3, which is not a type of weights: save float32"
    for text in ("{", "[1]"):
        safetensors.torch.save_file({"a": torch.ones(2)}, path, metadata={"mindcv": text})
        assert message(path) == f"{path}: its metadata 'mindcv' is not JSON of this project: use another file"


def test_an_old_torch_whose_loader_can_be_tricked_reads_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    torch.save(STATE, path)
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    assert message(path) == (
        f"{path}: torch 2.5.1+cpu can be made to run a file's code (CVE-2025-32434): "
        "pip install 'torch>=2.6', or take a .safetensors file"
    )


def test_without_torch_safetensors_are_read_and_pytorch_files_name_what_to_install(tmp_path):
    write_weights(tmp_path / "a.safetensors", {"a": np.ones(3, np.float32)}, {}, layout=TIMM_LAYOUT)
    torch.save(STATE, tmp_path / "a.pth")
    script = (
        "import sys\nsys.modules['torch'] = None\n"
        "from mindcv.models.weights.weight_files import read_weights\n"
        "print(read_weights(sys.argv[1]).tensors)\n"
        "try:\n    read_weights(sys.argv[2])\nexcept ValueError as error:\n    print(error)\n"
    )
    files = [str(tmp_path / "a.safetensors"), str(tmp_path / "a.pth")]
    ran = subprocess.run(
        [sys.executable, "-c", script, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ran.stdout.splitlines() == [
        "{'a': array([1., 1., 1.], dtype=float32)}",
        f"{files[1]}: a PyTorch file needs torch, which is not installed: pip install 'torch>=2.6', "
        "or take a .safetensors file",
    ]
