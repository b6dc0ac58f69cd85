"""MobileNetV2 and V3 with weights of timm and torchvision, and theirs with ours, in the same logits."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import create_model
from mindcv.models.conversion import convert_weights
from mindcv.models.weights import load_weights
from tests.support.networks import values_of
from tests.support.peers import torch
from tests.support.random_weights import CLASSES, fresh, images, logits_of, ours, peer

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
    assert_close(logits_of(network, batch), logits_of(theirs, batch))


def test_a_checkpoint_of_mindcv_pads_the_depthwise_convolutions_of_v3_as_mindcv_does(tmp_path):
    path = tmp_path / "mindcv.ckpt"
    ms.save_checkpoint(ours("mobilenet_v3_small_100"), str(path))
    network = create_model("mobilenet_v3_small_100", CLASSES, checkpoint_path=str(path))
    assert network.padding == "same"
    assert network.features[0].pad_mode == "pad"
    assert network.features[3].layers[0].pad_mode == "same"
    symmetric = create_model("mobilenet_v3_small_100", CLASSES, padding="symmetric")
    with pytest.raises(UserError, match="made for padding=same, and the network has symmetric"):
        load_weights(symmetric, path)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_v3_padded_as_in_mindcv_is_not_converted_to_libraries_that_pad_otherwise(tmp_path, library):
    path = tmp_path / "mindcv.ckpt"
    ms.save_checkpoint(ours("mobilenet_v3_small_100"), str(path))
    with pytest.raises(UserError) as caught:
        convert_weights(path, tmp_path / "a.pth", model="mobilenet_v3_small_100", layout=library)
    assert str(caught.value) == (
        f"{path}: made for padding=same, which {library}'s MobileNetV3 lacks: use another layout, or train "
        "with padding=symmetric"
    )
