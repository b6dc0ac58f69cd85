"""MobileNetV2 and V3 with weights of timm and torchvision, and theirs with ours, in the same logits."""

import hashlib
import logging
import shutil
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import MobileNetV3, create_model, mobilenet_v3_small_100, register_model, registry
from mindcv.models.conversion import convert_weights
from mindcv.models.weights import load_weights
from mindcv.models.weights.network_loading import evaluation_options
from mindcv.models.weights.pretrained import PUBLISHER
from tests.support.networks import values_of
from tests.support.peers import torch
from tests.support.random_weights import CLASSES, fresh, images, logits_of, ours, peer

PADDED = {"padding": "symmetric"}
TOLERANCE = 1e-4  # where logits are about 1
FAST = [
    ("timm", "mobilenet_v2_050"),
    ("timm", "mobilenet_v3_small_100"),
    ("torchvision", "mobilenet_v3_small_100"),
]
SLOW = [
    ("timm", "mobilenet_v2_100"),
    ("timm", "mobilenet_v2_140"),
    ("timm", "mobilenet_v3_large_100"),
    ("torchvision", "mobilenet_v2_100"),
    ("torchvision", "mobilenet_v3_large_100"),
]
PAIRS = [*FAST, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW)]


def saved(network: torch.nn.Module, path: Path) -> str:
    torch.save(network.state_dict(), path)
    return str(path)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert 0.3 < np.abs(expected).mean() < 3
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("library", "model"), PAIRS)
def test_weights_from_elsewhere_give_the_same_logits(tmp_path, library, model):
    theirs = peer(library, model)
    path = saved(theirs, tmp_path / "a.pth")
    network = create_model(model, CLASSES, checkpoint_path=path)
    assert network.padding == "symmetric"
    assert network.bn_eps == (1e-3 if library == "torchvision" and "v3" in model else 1e-5)
    expected = logits_of(theirs, images())
    assert_close(logits_of(network, images()), expected)
    folded = create_model(model, CLASSES, checkpoint_path=path, bn_eps=1e-2)
    assert_close(logits_of(folded, images()), expected)


@pytest.mark.parametrize(("library", "model"), PAIRS)
def test_weights_of_ours_give_the_same_logits_elsewhere_and_come_back_unchanged(tmp_path, library, model):
    eps = 1e-3 if library == "torchvision" and "v3" in model else 1e-5
    network = ours(model, padding="symmetric", bn_eps=eps)
    path, there, back = (tmp_path / name for name in ("ours.ckpt", "there.pth", "back.ckpt"))
    write_checkpoint(path, network.parameters_dict(), {"model": model, "padding": "symmetric", "bn_eps": eps})
    convert_weights(path, there, layout=library)
    theirs = fresh(library, model)
    theirs.load_state_dict(torch.load(there, weights_only=True), strict=True)
    assert_close(logits_of(theirs, images()), logits_of(network, images()))
    convert_weights(there, back)
    for name, value in values_of(create_model(model, CLASSES, checkpoint_path=str(back))).items():
        np.testing.assert_array_equal(value, values_of(network)[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(("library", "model"), [*FAST, *SLOW])
def test_the_logits_are_the_same_at_the_size_of_imagenet(tmp_path, library, model):
    theirs = peer(library, model, classes=1000, size=224)
    network = create_model(model, checkpoint_path=saved(theirs, tmp_path / "a.pth"))
    batch = images(224, count=2)
    found = logits_of(network, batch)
    exact = logits_of(theirs.double(), batch.astype(np.float64))
    # With these random statistics float32 rounds the logits of V3-Large, up to 4.4, by 2.1e-4 in MindSpore
    # and by 1.0e-4 in PyTorch: the reference is float64, and the tolerance counts from the largest logit.
    assert np.abs(found - exact).max() < TOLERANCE * np.abs(exact).max()


@pytest.fixture(scope="module")
def silent(tmp_path_factory) -> Path:
    """A file with MindCV's names and no metadata, as MindCV publishes it."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    path = tmp_path_factory.mktemp("silent") / "mindcv.ckpt"
    ms.save_checkpoint(ours("mobilenet_v3_small_100", padding="same"), str(path))
    return path


def test_a_checkpoint_of_mindcv_pads_the_depthwise_convolutions_of_v3_as_mindcv_does(silent, caplog):
    path = silent
    caplog.set_level(logging.INFO, "mindcv")
    network = create_model("mobilenet_v3_small_100", CLASSES, checkpoint_path=str(path))
    assert network.padding == "same"
    assert network.features[0].pad_mode == "pad"
    assert network.features[3].layers[0].pad_mode == "same"
    assert [text for text in caplog.messages if "checksum" not in text] == [
        f"{path}: does not state its padding, so MindCV's padding=same is assumed: "
        "give padding= if it is another"
    ]
    symmetric = create_model("mobilenet_v3_small_100", CLASSES)
    with pytest.raises(UserError) as caught:
        load_weights(symmetric, path)
    assert str(caught.value) == (
        f"{path}: made for padding=same, and the network has symmetric: build it with same, or give "
        "padding=symmetric if the file was trained so"
    )


def test_the_padding_of_a_file_that_does_not_state_it_can_be_told(silent, tmp_path, caplog):
    caplog.set_level(logging.INFO, "mindcv")
    told = create_model("mobilenet_v3_small_100", CLASSES, checkpoint_path=str(silent), padding="symmetric")
    loaded = create_model("mobilenet_v3_small_100", CLASSES)
    load_weights(loaded, silent, padding="symmetric")
    assert [text for text in caplog.messages if "checksum" not in text] == []
    convert_weights(
        silent, tmp_path / "a.pth", model="mobilenet_v3_small_100", padding="symmetric", layout="torchvision"
    )
    theirs = fresh("torchvision", "mobilenet_v3_small_100")
    theirs.load_state_dict(torch.load(tmp_path / "a.pth", weights_only=True), strict=True)
    expected = logits_of(theirs, images())
    for network in (told, loaded):
        assert network.padding == "symmetric"
        np.testing.assert_allclose(logits_of(network, images()), expected, rtol=0, atol=TOLERANCE)


def test_a_padding_that_a_file_states_is_not_overridden(tmp_path):
    path = tmp_path / "ours.ckpt"
    network = ours("mobilenet_v3_small_100")
    write_checkpoint(path, network.parameters_dict(), {"model": "mobilenet_v3_small_100", **PADDED})
    with pytest.raises(UserError, match="made for padding=symmetric, and the network has same"):
        create_model("mobilenet_v3_small_100", CLASSES, checkpoint_path=str(path), padding="same")
    with pytest.raises(UserError) as caught:
        convert_weights(path, tmp_path / "a.ckpt", padding="same")
    assert str(caught.value) == (
        f"{path}: made for padding=symmetric, and padding=same is given: leave padding out"
    )


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_v3_made_here_with_its_defaults_is_converted(library, tmp_path):
    model = "mobilenet_v3_small_100"
    network = ours(model)
    path = tmp_path / "run.ckpt"
    write_checkpoint(
        path, network.parameters_dict(), {"config": {"model": model}, **evaluation_options(network)}
    )
    convert_weights(path, tmp_path / "there.pth", layout=library)
    theirs = fresh(library, model)
    theirs.load_state_dict(torch.load(tmp_path / "there.pth", weights_only=True), strict=True)
    assert_close(logits_of(theirs, images()), logits_of(network, images()))


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_v3_padded_as_in_mindcv_is_not_converted_to_libraries_that_pad_otherwise(silent, tmp_path, library):
    with pytest.raises(UserError) as caught:
        convert_weights(silent, tmp_path / "a.pth", model="mobilenet_v3_small_100", layout=library)
    assert str(caught.value) == (
        f"{silent}: does not state its padding, and MindCV's is same, which {library}'s MobileNetV3 lacks: "
        "give --padding symmetric if it was trained so, or use --layout mindcv"
    )
    stated = tmp_path / "stated.ckpt"
    convert_weights(silent, stated, model="mobilenet_v3_small_100")
    with pytest.raises(UserError) as caught:
        convert_weights(stated, tmp_path / "a.pth", layout=library)
    assert str(caught.value) == (
        f"{stated}: made for padding=same, which {library}'s MobileNetV3 lacks: use --layout mindcv, or "
        "train with padding=symmetric"
    )


def test_published_weights_of_v3_are_padded_as_in_mindcv(silent, tmp_path, monkeypatch):
    digest = hashlib.sha256(silent.read_bytes()).hexdigest()[:8]
    shutil.copy(silent, tmp_path / f"v3-{digest}.ckpt")
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path))

    def published_v3(**kwargs) -> MobileNetV3:
        return mobilenet_v3_small_100(**kwargs)

    try:
        build = register_model(url=f"{PUBLISHER}v3-{digest}.ckpt", options_of=MobileNetV3)(published_v3)
        assert (
            build(True, CLASSES).padding == create_model("published_v3", 5, pretrained=True).padding == "same"
        )
        assert build(num_classes=CLASSES).padding == "symmetric"
    finally:
        registry._models.pop("published_v3", None)
