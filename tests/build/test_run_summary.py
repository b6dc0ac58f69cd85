"""The lines at the beginning of a run."""

import platform

import mindspore as ms
import pytest
from mindspore import nn

from mindcv import build
from mindcv.build.run_summary import describe_run
from mindcv.config import Config
from mindcv.runtime.session import Runtime

OPTIONS = {
    "dataset": "digits",
    "model": "mnasnet_small",
    "image_resize": 32,
    "batch_size": 64,
    "gradient_accumulation_steps": 2,
    "epoch_size": 3,
    "warmup_epochs": 1,
    "lr": 0.025,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    config = Config.from_options({**OPTIONS, "data_dir": str(tmp_path_factory.mktemp("digits"))})
    return config, build.build_training_data(config, Runtime(device="CPU"))


def lines(data, network: nn.Cell, *resumed: str, world_size: int = 1, **options) -> dict[str, str]:
    config = Config.from_options({**data[0].options(), **options})
    runtime = Runtime(device="CPU", world_size=world_size)
    described = describe_run(config, network, data[1], runtime, *resumed)
    return dict(line.split(maxsplit=1) for line in described)


def test_device_model_data_and_options_have_a_line_each(data):
    config, images = data
    network = build.build_network(config, images.source.classes, Runtime(device="CPU"))
    assert lines(data, network) == {
        "device": f"CPU, PyNative mode, MindSpore {ms.__version__}, Python {platform.python_version()}",
        "model": "mnasnet_small, 762,074 parameters, 1.4 M-MACs at 32 px",
        "weights": "random, seed 42",
        "data": f"{images.source.origin}: 1,437 images of 10 classes, 11 updates of 128 images per epoch",
        "options": "batch_size 64, image_resize 32, gradient_accumulation_steps 2, epoch_size 3, lr 0.025, "
        "warmup_epochs 1",
        "output": "./ckpt",
    }


@pytest.mark.parametrize(
    ("options", "resumed", "expected"),
    [
        ({"ckpt_path": "w.ckpt"}, (), "w.ckpt"),
        ({"pretrained": True}, (), "published"),
        ({}, ("ckpt/mnasnet_small-2.ckpt",), "resumed from ckpt/mnasnet_small-2.ckpt"),
    ],
)
def test_the_source_of_the_weights_is_named(data, options, resumed, expected):
    assert lines(data, nn.Dense(2, 3), *resumed, **options)["weights"] == expected


def test_several_devices_and_a_network_of_the_users_own_are_described(data):
    found = lines(data, nn.Dense(2, 3), world_size=4)
    assert found["device"].startswith("4 x CPU, ")
    assert found["model"] == "mnasnet_small, 9 trainable parameters"
    assert "11 updates of 512 images" in found["data"]
