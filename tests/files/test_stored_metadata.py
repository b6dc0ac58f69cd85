"""Metadata of files: one line names the file and the key, whatever the file says."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import read_checkpoint, write_checkpoint
from mindcv.files.stored_metadata import parse_metadata
from mindcv.models.weights.weight_files import read_weights, write_weights
from tests.support.paths import ROOT

PATH = Path("a.ckpt")
NUMBERS, TEXTS, LISTS, OBJECTS = (-1, 0.5, 2**53 + 2, 10**400), ("x", ""), ([], [1], ["x"]), ({}, {"x": 1})
POSITIONS = ({"epoch": 1, "batch": 2}, {"epoch": "1"}, {"batch": -1}, {"epoch": None})
VALUES = {  # key: values that are right, of a few of every kind
    "model": TEXTS,
    "padding": TEXTS,
    "run": (None, *TEXTS),
    "config": (None, *OBJECTS, *POSITIONS),
    "classes": (None, [], ["x"]),
    "averaged": ([], ["x"]),
    "num_classes": (None, 1, 3, 100_000),
    "in_channels": (None, 1, 3),
    "bn_eps": (None, 1e-3, 1, 0.5, 3, 100_000, 2**53),
    "epoch": (0, 1, 2**53, 100_000, 3),
    "step": (0, 1, 2**53, 100_000, 3),
    "top1": (None, 0, 0.5, -1, 1, 1e-3, 2**53, 100_000, 3, float("nan")),
    "best_top1": (None, 0, 0.5, -1, 1, 1e-3, 2**53, 100_000, 3, float("nan")),
    "kept": ([], [["a.ckpt", 0.5]], [["a.ckpt", None]]),
    "progress": (*OBJECTS, POSITIONS[0]),
}
ALL = [None, True, 0, 1, 3, 1e-3, 100_000, 2**53, float("nan"), *NUMBERS, *TEXTS, *LISTS, *OBJECTS]
ALL += [
    *POSITIONS,
    [["a.ckpt", 0.5]],
    [["a.ckpt", None]],
    [["a.ckpt"]],
    [[1, 0.5]],
    [["a.ckpt", "x"]],
    [None],
]


def refused(text: object) -> str:
    with pytest.raises(UserError) as caught:
        parse_metadata(PATH, text, "mindcv")
    return str(caught.value)


@pytest.mark.parametrize("key", VALUES)
def test_a_value_of_another_type_is_refused_and_its_key_named(key):
    accepted = {json.dumps(value) for value in VALUES[key]}
    for value in ALL:
        text = json.dumps({key: value})
        if json.dumps(value) in accepted:
            assert parse_metadata(PATH, text, "mindcv").keys() == {key}
        else:
            message = refused(text)
            assert message.startswith(f"a.ckpt: says {key}="), (value, message)
            assert message.endswith(": use another file")
            assert len(message) < 200


@pytest.mark.parametrize("key", ["num_classes", "in_channels", "bn_eps"])
def test_options_that_size_a_network_are_refused_in_the_config_too(key):
    message = refused(json.dumps({"config": {key: -1}}))
    assert message.startswith(f"a.ckpt: says config.{key}=-1, which must be ")


@pytest.mark.parametrize(
    "text",
    [
        *("[1]", "1", "null", '"x"', "", "{", "\ud800", "[" * 100_000, '{"a":' * 10_000 + "1" + "}" * 10_000),
        *('{"a":' * 17 + "1" + "}" * 17, '{"a": ' + "9" * 5000 + "}", " " * (17 << 20)),
    ],
    ids=range(12),
)
def test_what_is_not_an_object_of_moderate_depth_and_size_is_refused(text):
    assert refused(text) == "a.ckpt: its metadata 'mindcv' is not JSON of this project: use another file"


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".pth"])
def test_every_format_checks_its_metadata(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_weights(path, {"w": np.ones(2, np.float32)}, {"classes": ["x", 1]})
    with pytest.raises(UserError) as caught:
        read_weights(path)
    assert str(caught.value) == (
        f"{path}: says classes=['x', 1], which must be a list of names: use another file"
    )


def test_metadata_nested_deeply_in_a_checkpoint_are_refused(tmp_path):
    path, deep = tmp_path / "a.ckpt", {}
    for _ in range(300):
        deep = {"config": deep}
    write_checkpoint(path, {"w": Tensor([1.0])}, deep)
    with pytest.raises(UserError, match=r"its metadata 'mindcv\.metadata' is not JSON of this project"):
        read_checkpoint(path)


PROGRAMS = [
    ["train", "--resume", "FILE", "--dataset", "digits", "--data_dir", "DIR", "--ckpt_save_dir", "DIR/b"],
    ["validate", "--ckpt_path", "FILE", "--dataset", "digits", "--data_dir", "DIR"],
    ["infer", "FILE", "--ckpt_path", "FILE"],
    ["export", "--ckpt_path", "FILE", "--format", "onnx", "--output", "DIR/a.onnx"],
    ["convert", "FILE", "DIR/a.safetensors"],
    ["average-checkpoints", "--output", "DIR/b.ckpt", "FILE"],
]
RUN_ALL = """
import json, sys
from mindcv.__main__ import main

for sys.argv in json.loads(sys.argv[1]):
    try:
        main()
    except SystemExit as ended:
        print(ended.code, file=sys.stderr)
"""


def test_every_program_names_the_key_in_a_line(tmp_path):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, {"w": Tensor([1.0])}, {"epoch": "one", "progress": {}})
    lines = json.dumps([["mindcv", *arguments] for arguments in PROGRAMS])
    filled = lines.replace("FILE", str(path)).replace("DIR", str(tmp_path))
    ran = subprocess.run(
        [sys.executable, "-c", RUN_ALL, filled], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    said = f"error: {path}: says epoch='one', which must be a number of epochs: use another file"
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr.splitlines() == [said, "2"] * len(PROGRAMS)
