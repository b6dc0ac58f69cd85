"""A family that lists no names of other libraries: its checkpoints are converted under its own names."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import create_model, register_model, registry
from mindcv.models.conversion import convert_weights
from mindcv.models.weights.weight_files import read_weights
from tests.support.networks import values_of


class PlainNet(nn.Cell):
    """A network that is no MnasNet and tells nothing of itself but its classifier."""

    def __init__(self, *, num_classes: int = 1000, in_channels: int = 3):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 4, 3, 2, weight_init="normal")
        self.norm = nn.BatchNorm2d(4)
        self.classifier = nn.Dense(4, num_classes, weight_init="normal")

    def construct(self, x: Tensor) -> Tensor:
        return self.classifier(ops.mean(ops.relu(self.norm(self.stem(x))), axis=(2, 3)))


@pytest.fixture(autouse=True)
def plain_net(monkeypatch):
    """A model of a user, registered for one test."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    monkeypatch.setattr(registry, "_models", dict(registry._models))

    def plain_net(**kwargs) -> PlainNet:
        return PlainNet(**kwargs)

    return register_model(options_of=PlainNet)(plain_net)


@pytest.mark.parametrize("kind", ["ckpt", "safetensors", "pth"])
@pytest.mark.parametrize(
    "metadata",
    [
        {"model": "plain_net", "classes": ["a", "b", "c"]},
        {"model": "plain_net", "config": {"in_channels": 1, "num_classes": 3}},
        {"model": "plain_net", "config": {"in_channels": None, "num_classes": None}},
        {"model": "plain_net"},
    ],
)
def test_its_checkpoint_keeps_its_names_and_numbers(kind, metadata, tmp_path):
    network = create_model("plain_net", 3, in_channels=1)
    start, there, back = tmp_path / "a.ckpt", tmp_path / f"b.{kind}", tmp_path / "c.ckpt"
    write_checkpoint(start, network.parameters_dict(), metadata)
    report = convert_weights(start, there)
    assert (report.model, report.layout) == ("plain_net", "mindcv")
    convert_weights(there, back)
    found = read_weights(back).tensors
    assert set(found) == set(values_of(network))
    for name, value in values_of(network).items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    again = create_model("plain_net", 3, in_channels=1, checkpoint_path=str(there))
    np.testing.assert_array_equal(again.classifier.weight.asnumpy(), network.classifier.weight.asnumpy())


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_names_that_it_does_not_list_are_refused(library, tmp_path):
    start, there = tmp_path / "a.ckpt", tmp_path / "b.safetensors"
    write_checkpoint(start, create_model("plain_net", 3).parameters_dict(), {"model": "plain_net"})
    with pytest.raises(UserError) as caught:
        convert_weights(start, there, layout=library)
    assert str(caught.value) == (
        f"{start}: the family PlainNet lists no names for {library}: use --layout mindcv, or list them in "
        "its class as weight_layouts"
    )
    assert not there.exists()


def test_a_file_that_tells_no_number_of_classes_must_be_told(tmp_path):
    start = tmp_path / "a.ckpt"
    write_checkpoint(start, {"stem.weight": ms.Tensor(np.ones((4, 3, 3, 3), np.float32))}, {})
    with pytest.raises(UserError) as caught:
        convert_weights(start, tmp_path / "b.ckpt", model="plain_net")
    assert str(caught.value) == (
        f"{start}: lacks 'classifier.weight' that determines num_classes: give another file, or --num_classes"
    )
