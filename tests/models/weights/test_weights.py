"""Weights from a file into a network: all of them, in place, or an explanation."""

import logging
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindcv.engine import training_state
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import create_model
from mindcv.models.weights import load_weights
from mindcv.step import Ema, LossScale, NetworkWithLoss, TrainStep, initialize_ema_model
from tests.support.networks import values_of

REMEDY = "choose the model, num_classes and in_channels that the file was made with"
NEW = "choose the num_classes that the file was made with, or train with new_classifier=True"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.ckpt"


class Net(nn.Cell):
    """A convolution, a normalisation and a classifier: 7 parameters, two of them statistics."""

    def __init__(self, classes: int = 3, channels: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.classifier = nn.Dense(4, classes)

    def construct(self, images: Tensor) -> Tensor:
        return self.classifier(self.norm(self.conv(images)).mean(axis=(2, 3)))


def with_values(seed: int) -> Net:
    """A network with every parameter, statistics included, drawn at random."""
    rng = np.random.default_rng(seed)
    network = Net()
    for parameter in network.get_parameters():
        parameter.set_data(Tensor(rng.uniform(0.5, 1.5, parameter.shape), parameter.dtype))
    return network


def assert_same(network: nn.Cell, other: nn.Cell) -> None:
    mine, others = values_of(network), values_of(other)
    assert list(mine) == list(others)
    for name, array in mine.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)


def batch() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    return Tensor(rng.standard_normal((4, 2, 5, 5), np.float32)), Tensor([0, 1, 2, 0], ms.int32)


def train_step(network: nn.Cell) -> TrainStep:
    return TrainStep(
        NetworkWithLoss(network, nn.CrossEntropyLoss()), nn.SGD(network.trainable_params(), 0.5)
    ).set_train()


def message(network: nn.Cell, path: Path) -> str:
    before = values_of(network)
    with pytest.raises(UserError) as caught:
        load_weights(network, path)
    for name, array in values_of(network).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    return str(caught.value)


def test_every_parameter_is_loaded_statistics_included(path):
    source, target = with_values(1), with_values(2)
    write_checkpoint(path, source.parameters_dict(), {})
    load_weights(target, str(path))
    assert_same(target, source)
    assert len(values_of(target)) == 7
    np.testing.assert_array_equal(target(batch()[0]).asnumpy(), source(batch()[0]).asnumpy())


def test_weights_that_mindspore_saved_are_loaded(path):
    source, target = with_values(1), with_values(2)
    ms.save_checkpoint(source, str(path))
    load_weights(target, path)
    assert_same(target, source)


def test_the_state_of_training_in_the_file_is_not_loaded(path):
    source, average, target = with_values(1), with_values(2), with_values(3)
    initialize_ema_model(average, with_values(4))
    optimizer = nn.Momentum(source.trainable_params(), 0.1, 0.9)
    forward = NetworkWithLoss(source, nn.CrossEntropyLoss())
    step = TrainStep(
        forward, optimizer, ema=Ema(source, average, 0.9), loss_scale=LossScale(2.0, dynamic=True)
    )
    write_checkpoint(path, training_state(source, step), {})
    load_weights(target, path)
    assert_same(target, source)


def test_the_ema_weights_in_the_file_are_loaded_on_request(path):
    source, average, target = with_values(1), with_values(2), with_values(3)
    initialize_ema_model(average, with_values(4))
    write_checkpoint(path, {**source.parameters_dict(), **average.parameters_dict()}, {})
    load_weights(target, path, ema=True)
    assert_same(target, with_values(4))
    load_weights(target, path)
    assert_same(target, source)
    write_checkpoint(path, source.parameters_dict(), {})
    with pytest.raises(UserError) as caught:
        load_weights(target, path, ema=True)
    assert str(caught.value) == f"{path}: has no EMA weights: load it with ema=False"


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_a_network_that_has_run_uses_its_new_weights_and_trains_on_from_them(path, mode):
    source, images, labels = with_values(1), *batch()
    write_checkpoint(path, source.parameters_dict(), {})
    ms.set_context(mode=mode)
    target = with_values(2)
    step = train_step(target)
    for _ in range(2):
        step(images, labels)
    target.set_train(False)(images)
    load_weights(target, path)
    assert_same(target, source)
    np.testing.assert_array_equal(target(images).asnumpy(), source.set_train(False)(images).asnumpy())

    fresh = with_values(1)
    losses = [float(one(images, labels)) for one in (step.set_train(), train_step(fresh))]
    assert losses[0] == losses[1]
    assert_same(target, fresh)


def test_values_take_the_type_of_the_parameter(path):
    source, target = nn.Dense(2, 2), nn.Dense(2, 2)
    halves = {p.name: Parameter(p.astype(ms.float16), name=p.name) for p in source.get_parameters()}
    write_checkpoint(path, halves, {})
    load_weights(target, path)
    assert target.weight.dtype == ms.float32
    np.testing.assert_array_equal(target.weight.asnumpy(), halves["weight"].asnumpy().astype(np.float32))


@pytest.mark.parametrize(
    ("network", "difference"),
    [
        (
            Net(classes=5),
            "'classifier.weight' has shape (3, 4), and (5, 4) in the network; "
            "'classifier.bias' has shape (3,), and (5,) in the network",
        ),
        (Net(channels=1), "'conv.weight' has shape (4, 2, 1, 1), and (4, 1, 1, 1) in the network"),
        (
            nn.SequentialCell(nn.Dense(4, 3)),
            "lacks '0.weight', '0.bias', which the network has; has 'conv.weight', "
            "'norm.moving_mean', 'norm.moving_variance', 'norm.gamma', 'norm.beta', 'classifier.weight', "
            "'classifier.bias', which the network lacks",
        ),
        (
            nn.CellDict({"conv": nn.Conv2d(2, 4, 1)}),
            "has 'norm.moving_mean', 'norm.moving_variance', 'norm.gamma', 'norm.beta', "
            "'classifier.weight', 'classifier.bias', which the network lacks",
        ),
    ],
    ids=["classes", "channels", "missing", "surplus"],
)
def test_a_file_that_does_not_fit_changes_nothing_and_the_differences_are_listed(path, network, difference):
    write_checkpoint(path, Net().parameters_dict(), {})
    remedy = NEW if "(5, 4)" in difference else REMEDY
    assert message(network, path) == f"{path}: {difference}: {remedy}"


def test_very_many_differences_are_listed_in_part_and_counted(path):
    write_checkpoint(path, create_model("mnasnet_050", 3).parameters_dict(), {})
    text = message(create_model("mnasnet_075", 3), path)
    assert text.startswith(
        f"{path}: 'features.0.weight' has shape (16, 3, 3, 3), and (24, 3, 3, 3) in the network"
    )
    assert text.endswith(f" and 252 more: {REMEDY}")
    assert len(text) < 800


@pytest.mark.parametrize("metadata", [{"model": "mnasnet0_50"}, {"config": {"model": "mnasnet_050"}}])
def test_a_file_of_another_model_is_named_by_its_model(path, metadata):
    write_checkpoint(path, create_model("mnasnet_050", 3).parameters_dict(), metadata)
    with pytest.raises(UserError) as caught:
        create_model("mnasnet_075", 3, checkpoint_path=str(path))
    assert str(caught.value) == (
        f"{path}: made for another model ('features.0.weight' has shape (16, 3, 3, 3), and (24, 3, 3, 3) "
        "in the network): give model=mnasnet_050"
    )


def test_whole_numbers_are_no_weights(path):
    records = [{"name": p.name, "data": p} for p in Net().get_parameters() if p.name != "norm.gamma"]
    ms.save_checkpoint([*records, {"name": "norm.gamma", "data": Tensor([1, 2, 3, 4], ms.int8)}], str(path))
    assert message(Net(), path) == f"{path}: the values of 'norm.gamma' are integers: {REMEDY}"


def test_parameters_that_a_new_classifier_leaves_out_are_named(path, caplog):
    write_checkpoint(path, Net(classes=5).parameters_dict(), {})
    with caplog.at_level(logging.INFO, "mindcv"):
        load_weights(Net(), path, new_classifier=True)
    assert caplog.messages == [f"{path}: all weights are loaded except classifier.weight, classifier.bias"]


@pytest.mark.parametrize(("channels", "text"), [(1, "1"), (4, "4")])
def test_a_stem_for_colours_is_converted_and_the_log_says_so(path, caplog, channels, text):
    write_checkpoint(path, create_model("mnasnet_small", 3).parameters_dict(), {})
    with caplog.at_level(logging.INFO, "mindcv"):
        network = create_model("mnasnet_small", 3, in_channels=channels, checkpoint_path=str(path))
    assert caplog.messages == [f"{path}: its stem is for 3 channels, and is converted for {text}"]
    assert network.features[0].weight.shape == (8, channels, 3, 3)
    write_checkpoint(path, network.parameters_dict(), {})
    shapes = f"'features.0.weight' has shape (8, {channels}, 3, 3), and (8, 3, 3, 3) in the network"
    assert message(create_model("mnasnet_small", 3), path) == f"{path}: {shapes}: {REMEDY}"


def test_a_file_that_cannot_be_read_changes_nothing(path):
    assert message(Net(), path) == f"{path}: no such checkpoint: check the path"
    write_checkpoint(path, Net().parameters_dict(), {})
    path.write_bytes(path.read_bytes()[:-1])
    assert message(Net(), path) == f"{path}: the checkpoint is truncated or damaged: use another one"
