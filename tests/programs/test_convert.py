"""convert.py: what it writes, that nothing is lost on the way there and back, and what it refuses."""

import hashlib
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import safetensors.torch

from mindcv.errors import ConfigError, UserError
from mindcv.files.checkpoint_file import read_checkpoint, write_checkpoint
from mindcv.models import create_model
from mindcv.models.conversion import convert_weights
from mindcv.models.weights.weight_files import read_weights
from mindcv.programs.convert import convert, parse_options
from tests.support.networks import values_of
from tests.support.peers import torch
from tests.support.random_weights import CLASSES, fresh, images, logits_of, ours, peer

ROOT = Path(__file__).parents[2]
MODEL = "mnasnet_small"
KEYS = {"model": MODEL, "num_classes": CLASSES, "in_channels": 3, "padding": "symmetric"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint as training writes it, with an EMA model."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    path = tmp_path_factory.mktemp("ckpt") / "run.ckpt"
    weights, average = ours(MODEL, 1).parameters_dict(), ours(MODEL, 2).parameters_dict()
    tensors = {**weights, **{f"ema.{n}": ms.Tensor(p) for n, p in average.items()}}
    tensors |= {
        "optimizer.moments.a": ms.Tensor([1.0]),
        "step.count": ms.Tensor(7),
    }
    config = {"model": MODEL, "bn_eps": None, "ema": True, "num_classes": None}
    write_checkpoint(
        path, tensors, {"config": config, "classes": ["a"], "bn_eps": 1e-3, "padding": "symmetric"}
    )
    return path


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tools.convert", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def message(*arguments, **options) -> str:
    with pytest.raises(UserError) as caught:
        convert_weights(*arguments, **options)
    return str(caught.value)


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_program_says_in_one_line_what_it_wrote(tmp_path, checkpoint):
    out = tmp_path / "out.safetensors"
    ran = run(checkpoint, out)
    sha256 = hashlib.sha256(out.read_bytes()).hexdigest()
    count = len(fresh("timm", MODEL).state_dict())
    assert ran.stdout == (
        f"{out}: {MODEL} in timm's names, {count} tensors, bn_eps=1e-05, padding=symmetric, "
        f"SHA-256 {sha256[:8]}\n"
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    network = fresh("timm", MODEL)
    network.load_state_dict(safetensors.torch.load_file(out), strict=True)
    expected = logits_of(create_model(MODEL, CLASSES, checkpoint_path=str(checkpoint)), images())
    np.testing.assert_allclose(logits_of(network, images()), expected, rtol=0, atol=1e-4)


def test_an_average_keeps_its_epsilon_there_and_back(tmp_path, checkpoint, monkeypatch, capsys):
    out, back = tmp_path / "out.safetensors", tmp_path / "back.ckpt"
    for arguments in ([checkpoint, out, "--bn_eps", "keep", "--ema"], [out, back]):
        monkeypatch.setattr(sys, "argv", ["convert.py", *map(str, arguments)])
        convert(parse_options())
    assert "bn_eps=0.001, which the network needs (usual is 1e-05)" in capsys.readouterr().out
    average = create_model(MODEL, CLASSES, checkpoint_path=str(checkpoint), ema=True)
    assert_same(read_checkpoint(back).tensors, values_of(average))


TRIPS = {  # each value of each option
    (MODEL, "timm", 1e-3, "keep", ".pth"),
    ("mnasnet_050", "torchvision", 1e-5, None, ".safetensors"),
}


@pytest.mark.parametrize(
    ("model", "layout", "eps", "how", "suffix"),
    [
        pytest.param(*trip, marks=[] if trip in TRIPS else pytest.mark.slow)
        for trip in (
            (model, layout, eps, how, suffix)
            for model, layout in ((MODEL, "timm"), ("mnasnet_050", "torchvision"))
            for eps, how in ((1e-5, None), (1e-3, "keep"))
            for suffix in (".safetensors", ".pth")
        )
    ],
)
def test_a_round_trip_changes_no_bit(tmp_path, model, layout, eps, how, suffix):
    network = ours(model, bn_eps=eps)
    start, there, back = (tmp_path / name for name in ("a.ckpt", f"b{suffix}", "c.ckpt"))
    write_checkpoint(start, network.parameters_dict(), {"bn_eps": eps, "model": model})
    convert_weights(start, there, layout=layout, bn_eps=how)
    convert_weights(there, back)
    assert_same(read_checkpoint(back).tensors, values_of(network))
    assert read_checkpoint(back).metadata["bn_eps"] == eps
    again = create_model(model, CLASSES, checkpoint_path=str(there))
    assert again.bn_eps == eps
    assert_same(values_of(again), values_of(network))


def test_a_round_trip_from_timm_changes_no_bit(tmp_path):
    start, there, back = (tmp_path / name for name in ("a.pth", "b.ckpt", "c.pth"))
    state = peer("timm", "semnasnet_075").state_dict()
    torch.save(state, start)
    convert_weights(start, there, model="semnasnet_075")
    convert_weights(there, back)
    found = torch.load(back, weights_only=True)
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        # The count of batches is not kept.
        assert torch.equal(found[name], torch.zeros_like(tensor) if "num_batches" in name else tensor)
    assert set(found) == set(state)


def test_what_the_file_knew_is_kept_and_how_to_build_the_network_is_added(tmp_path, checkpoint):
    out = tmp_path / "out.safetensors"
    convert_weights(checkpoint, out, ema=True, in_channels=1)
    built = {**KEYS, "in_channels": 1, "bn_eps": 1e-5}
    without_model = {key: value for key, value in built.items() if key != "model"}
    assert read_weights(out).metadata == {
        **built,
        "classes": ["a"],
        "config": {"model": MODEL, "ema": False, **without_model},
    }
    assert read_weights(out).tensors["conv_stem.weight"].shape == (8, 1, 3, 3)


def test_another_epsilon_is_folded_where_it_is_asked_for(tmp_path, checkpoint):
    out = tmp_path / "out.ckpt"
    assert ", bn_eps=0.01, which the network needs (usual is 0.001), " in str(
        convert_weights(checkpoint, out, bn_eps=0.01)
    )
    network = create_model(MODEL, CLASSES, checkpoint_path=str(out))
    assert network.bn_eps == 0.01
    expected = logits_of(create_model(MODEL, CLASSES, checkpoint_path=str(checkpoint)), images())
    np.testing.assert_allclose(logits_of(network, images()), expected, rtol=0, atol=1e-4)


def test_what_cannot_be_converted_says_why_and_writes_nothing(tmp_path, checkpoint):
    out, ckpt = tmp_path / "out.safetensors", checkpoint
    assert message(ckpt, ckpt) == f"{ckpt} is the file to convert: choose another name"
    link = tmp_path / "link.ckpt"
    link.symlink_to(ckpt)
    assert message(ckpt, link) == f"{link} is the file to convert: choose another name"
    assert message(ckpt, tmp_path / "out.ckpt", layout="timm") == (
        f"{tmp_path}/out.ckpt: a MindSpore checkpoint has MindCV's names, not those of layout=timm: write "
        ".safetensors or .pth"
    )
    assert message(ckpt, tmp_path / "no" / "a.pth") == (
        f"{tmp_path}/no/a.pth: the folder {tmp_path}/no does not exist: create it first"
    )
    assert message(ckpt, out, layout="torchvision").startswith("torchvision has only MnasNet-B1")
    assert message(ckpt, out, model="mnasnet_smal").startswith("unknown model 'mnasnet_smal'; did you mean")
    assert message(ckpt, out, num_classes=3).startswith(
        f"{ckpt}: 'classifier.weight' has shape (10, 1280), and (3, "
    )
    write_checkpoint(tmp_path / "same.ckpt", ours("mnasnet_050").parameters_dict(), {"padding": "same"})
    assert message(tmp_path / "same.ckpt", out, model="mnasnet_050", layout="torchvision") == (
        f"{tmp_path}/same.ckpt: made for padding=same, which torchvision's MnasNet lacks: use "
        "--layout mindcv, or train with padding=symmetric"
    )
    assert not out.exists()


def test_a_file_that_does_not_say_what_it_is_must_be_told(tmp_path):
    path, out = tmp_path / "a.ckpt", tmp_path / "out.safetensors"
    write_checkpoint(path, {"a": ms.Tensor([1.0])}, {})
    assert message(path, out) == f"{path}: does not name its model: give --model, for example mnasnet_100"
    assert message(path, out, model=MODEL) == (
        f"{path}: lacks 'classifier.weight' that determines num_classes: give another file, or --num_classes"
    )
    text = message(path, out, model=MODEL, num_classes=2, in_channels=3)
    assert text.startswith(f"{path}: lacks ")
    assert " more, which the network has" in text


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--bn_eps", "small"], "small must be a positive number such as 1e-3, or keep"),
        (["--bn_eps", "-1"], "-1 must be a positive number such as 1e-3, or keep"),
        (["--num_classes", "0"], "0 must be a positive integer"),
        (["--layout", "keras"], "invalid choice: 'keras'"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments, fault, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["convert.py", "a.ckpt", "b.pth", *arguments])
    with pytest.raises(ConfigError) as caught:
        parse_options()
    assert fault in str(caught.value)


def test_a_mistake_ends_the_program_with_one_line_and_status_2(tmp_path):
    ran = run(tmp_path / "no.pth", tmp_path / "a.ckpt", "--model", MODEL)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"error: {tmp_path}/no.pth: no such file: check the path\n"
