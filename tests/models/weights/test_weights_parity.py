"""The same logits here, in timm and in torchvision, from the same weights, in both directions."""

from collections import OrderedDict
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import safetensors.torch

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import create_model
from mindcv.models.conversion import convert_weights
from tests.support.peers import torch
from tests.support.random_weights import CLASSES, fresh, images, logits_of, ours, peer

TOLERANCE = 1e-4  # where logits are about 1
FAST = [
    ("timm", "mnasnet_050"),
    ("timm", "mnasnet_small"),
    ("timm", "semnasnet_075"),
    ("torchvision", "mnasnet_050"),
]
SLOW = [
    ("timm", "mnasnet_075"),
    ("timm", "mnasnet_100"),
    ("timm", "mnasnet_140"),
    ("timm", "semnasnet_100"),
    ("torchvision", "mnasnet_075"),
    ("torchvision", "mnasnet_100"),
    ("torchvision", "mnasnet_130"),
]
PAIRS = [*FAST, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW)]


def save(network: torch.nn.Module, path: Path) -> Path:
    """Write a state dict as its library's users do."""
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path)
    return path


def load(library: str, model: str, path: Path, **options) -> torch.nn.Module:
    """Read a file into a network of a library, with the lines of docs/weights.md."""
    if library == "timm":
        return fresh(library, model, checkpoint_path=str(path), **options)  # loads with strict=True
    network = fresh(library, model, **options)
    if path.suffix == ".safetensors":
        state = OrderedDict(safetensors.torch.load_file(path))
        state._metadata = network.state_dict()._metadata
    else:
        state = torch.load(path, weights_only=True)
    network.load_state_dict(state, strict=True)
    return network


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert 0.3 < np.abs(expected).mean() < 3
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("library", "model"), PAIRS)
def test_weights_from_elsewhere_give_the_same_logits(tmp_path, library, model):
    theirs = peer(library, model)
    expected = logits_of(theirs, images())
    path = save(theirs, tmp_path / ("a.safetensors" if library == "timm" else "a.pth"))
    network = create_model(model, CLASSES, checkpoint_path=str(path))
    assert network.bn_eps == 1e-5
    assert_close(logits_of(network, images()), expected)
    folded = create_model(model, CLASSES, checkpoint_path=str(path), bn_eps=1e-3)
    assert folded.bn_eps == 1e-3
    assert_close(logits_of(folded, images()), expected)


def test_the_logits_are_the_same_without_the_kernels_of_this_package(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDCV_KERNELS", "0")  # as on a GPU or an Ascend; the network has every kind of block
    theirs = peer("timm", "mnasnet_small")
    network = create_model("mnasnet_small", CLASSES, checkpoint_path=str(save(theirs, tmp_path / "a.pth")))
    assert_close(logits_of(network, images()), logits_of(theirs, images()))


@pytest.mark.parametrize(("library", "model"), PAIRS)
def test_weights_of_ours_give_the_same_logits_elsewhere(tmp_path, library, model):
    network = ours(model)
    expected = logits_of(network, images())
    path = tmp_path / "ours.ckpt"
    ms.save_checkpoint(network, str(path))
    for suffix in (".safetensors", ".pth"):
        out = path.with_suffix(suffix)
        convert_weights(path, out, model=model, layout=library)
        assert_close(logits_of(load(library, model, out), images()), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("library", "model"), [("timm", "semnasnet_100"), ("torchvision", "mnasnet_130")])
def test_the_logits_are_the_same_at_the_size_of_imagenet(tmp_path, library, model):
    theirs = peer(library, model, classes=1000, size=224)
    network = create_model(model, checkpoint_path=str(save(theirs, tmp_path / "a.pth")))
    batch = images(224, count=2)
    assert_close(logits_of(network, batch), logits_of(theirs, batch))


@pytest.mark.parametrize("channels", [1, 4])
def test_a_network_for_images_of_other_channels_computes_what_timms_does(tmp_path, channels):
    path = save(peer("timm", "mnasnet_small"), tmp_path / "a.safetensors")
    theirs = fresh(
        "timm",
        "mnasnet_small",
        in_chans=channels,
        pretrained=True,
        pretrained_cfg_overlay={"file": str(path), "num_classes": CLASSES},
    )
    network = create_model("mnasnet_small", CLASSES, in_channels=channels, checkpoint_path=str(path))
    batch = images(64, channels)
    assert_close(logits_of(network, batch), logits_of(theirs, batch))


def test_torchvisions_first_version_whose_stem_is_another_is_refused(tmp_path):
    network, path = fresh("torchvision", "mnasnet_050"), tmp_path / "a.pth"
    nothing = OrderedDict()
    nothing._metadata = {"": {"version": 1}}
    with pytest.warns(UserWarning, match="saved using the previous version"):
        network.load_state_dict(nothing, strict=False)
    with pytest.raises(UserError) as caught:
        create_model("mnasnet_050", CLASSES, checkpoint_path=str(save(network, path)))
    shapes = "'layers.0.weight' has shape (32, 3, 3, 3), and (16, 3, 3, 3) in the network; "
    assert str(caught.value).startswith(f"{path}: {shapes}")


def test_torchvision_refuses_a_plain_dict_and_needs_the_lines_of_the_documentation(tmp_path):
    path = tmp_path / "ours.ckpt"
    ms.save_checkpoint(ours("mnasnet_050"), str(path))
    out = path.with_suffix(".safetensors")
    convert_weights(path, out, model="mnasnet_050", layout="torchvision")
    with pytest.raises(ValueError, match="version should be set to 1 or 2 instead of None"):
        fresh("torchvision", "mnasnet_050").load_state_dict(safetensors.torch.load_file(out))


def test_an_epsilon_that_is_kept_is_given_to_timm(tmp_path):
    network = ours("mnasnet_small")
    path, out = tmp_path / "ours.ckpt", tmp_path / "kept.safetensors"
    ms.save_checkpoint(network, str(path))
    convert_weights(path, out, model="mnasnet_small", bn_eps="keep")
    expected = logits_of(network, images())
    assert_close(logits_of(load("timm", "mnasnet_small", out, bn_eps=1e-3), images()), expected)
    wrong = logits_of(load("timm", "mnasnet_small", out), images())
    assert np.abs(wrong - expected).max() > 0.1  # what the tolerance would notice
    assert_close(
        logits_of(create_model("mnasnet_small", CLASSES, checkpoint_path=str(out)), images()), expected
    )


def test_padding_as_in_tensorflow_is_given_to_timm(tmp_path):
    network = ours("mnasnet_small", padding="same")
    path, out = tmp_path / "ours.ckpt", tmp_path / "same.safetensors"
    write_checkpoint(path, network.parameters_dict(), {"padding": "same"})
    line = str(convert_weights(path, out, model="mnasnet_small"))
    assert "padding=same, which the network needs (usual is symmetric)" in line
    expected = logits_of(network, images())
    assert_close(logits_of(load("timm", "mnasnet_small", out, pad_type="same"), images()), expected)
    assert_close(
        logits_of(create_model("mnasnet_small", CLASSES, checkpoint_path=str(out)), images()), expected
    )
