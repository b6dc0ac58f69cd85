"""Published weights in networks: which of them are loaded, into what, and when they are not even fetched."""

import hashlib
import logging
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindcv import build as builders
from mindcv.config import Config
from mindcv.engine.run_position import RunPosition
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import MnasNet, create_model, list_models, register_model, registry
from mindcv.models.mnasnet import Stage
from mindcv.runtime.session import Runtime
from tests.support.file_server import FileServer
from tests.support.networks import values_of

ROOT = Path(__file__).parents[3]
CLASSES = ("apple", "pear", "sky")
ALONE = Runtime(device="CPU")
TABLE = (
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=2, channels=8, blocks=1, stride=2, kernel=3),
)


def build(**kwargs) -> MnasNet:
    return MnasNet(TABLE, 1.0, 8, **kwargs)


@pytest.fixture
def published(server, tmp_path, monkeypatch) -> dict[str, np.ndarray]:
    """A model 'little', whose weights the server has; their values."""
    monkeypatch.setattr(registry, "_models", dict(registry._models))
    ms.set_seed(5)
    network = build()
    write_checkpoint(tmp_path / "little.ckpt", network.parameters_dict(), {})
    content = (tmp_path / "little.ckpt").read_bytes()
    name = f"little-{hashlib.sha256(content).hexdigest()[:8]}.ckpt"
    server.files["/" + name] = content

    @register_model(url=server.url + name, options_of=MnasNet)
    def little(**kwargs) -> MnasNet:
        return build(**kwargs)

    ms.set_seed(6)
    return values_of(network)


def different(network: nn.Cell, published: dict[str, np.ndarray]) -> list[str]:
    """Names of the parameters that have other values."""
    found = values_of(network)
    assert list(found) == list(published)
    return [name for name, value in found.items() if not np.array_equal(value, published[name])]


def test_a_pretrained_network_has_the_published_weights(published, server):
    assert different(create_model("little", pretrained=True), published) == []
    assert len(different(create_model("little"), published)) > 3
    assert len(server.requests) == 1


def test_other_classes_leave_the_classifier_fresh_and_its_parameters_are_named(published, caplog):
    caplog.set_level(logging.INFO)
    network = create_model("little", 7, pretrained=True)
    assert network.classifier.weight.shape == (7, 1280)
    assert different(network, published) == ["classifier.weight", "classifier.bias"]
    assert "all weights are loaded except classifier.weight, classifier.bias" in caplog.text
    same = create_model("little", pretrained=True, new_classifier=True)
    assert different(same, published) == ["classifier.weight"]  # a fresh bias is zero, as here


def test_a_pretrained_pyramid_has_the_published_weights(published):
    pyramid = create_model("little", pretrained=True, features_only=True, out_indices=(1,))
    found = values_of(pyramid)
    assert list(found) == [
        name for name in published if not name.startswith(("features.9.", "features.10", "cl"))
    ]
    for name, value in found.items():
        np.testing.assert_array_equal(value, published[name])


def test_a_model_without_published_weights_names_those_that_have():
    with pytest.raises(UserError) as caught:
        create_model("semnasnet_100", pretrained=True)
    assert str(caught.value) == (
        "pretrained=True: model 'semnasnet_100' has no published weights; list_models(pretrained=True) lists "
        f"the models that have: {', '.join(list_models(pretrained=True))}"
    )


def test_two_sources_of_weights_are_one_too_many(published, server):
    with pytest.raises(UserError) as caught:
        create_model("little", pretrained=True, checkpoint_path="my.ckpt")
    assert (
        str(caught.value) == "pretrained=True and checkpoint_path=my.ckpt both give weights: give one of them"
    )
    assert server.requests == []


# --- programs ----------------------------------------------------------------------------------------------


def config_for(**options) -> Config:
    return Config.from_options({"model": "little", "pretrained": True, **options})


def trained(runtime: Runtime = ALONE, **options) -> nn.Cell:
    return builders.build_network(config_for(**options), CLASSES, runtime, is_training=True)


def test_a_training_starts_from_the_published_weights_and_so_does_its_average(published):
    network = trained(ema=True)
    assert different(network, published) == ["classifier.weight", "classifier.bias"]
    config = config_for(ema=True)
    average = builders.build_ema_model(config, network, CLASSES, ALONE)
    forward = builders.build_forward(config, network, CLASSES)
    optimizer = builders.build_optimizer(config, network, [0.1])
    step = builders.build_train_step(config, network, forward, optimizer, average, ALONE)
    for own, parameter in zip(step.ema.ema_values, network.get_parameters(), strict=True):
        assert own.name == f"ema.{parameter.name}"
        np.testing.assert_array_equal(own.asnumpy(), parameter.asnumpy())


def test_in_a_training_of_several_ranks_only_the_first_fetches(published, server):
    """The others get its values before the first step: see `broadcast_initial_values`."""
    network = trained(Runtime(device="CPU", rank=1, world_size=2))
    assert server.requests == []
    assert len(different(network, published)) > 3
    trained(Runtime(device="CPU", rank=0, world_size=2))
    assert len(server.requests) == 1


def test_a_run_that_goes_on_needs_no_published_weights(published, server, tmp_path):
    saved, options = tmp_path / "ckpt", {"resume": "auto", "ckpt_save_dir": str(tmp_path / "ckpt")}
    assert builders.find_resumed(config_for(**options), ALONE) is None
    first = trained(**options)  # there is nothing to resume from yet
    assert len(server.requests) == 1
    saved.mkdir()
    position = {"progress": RunPosition(epoch=3).metadata()}
    write_checkpoint(saved / "little-3.ckpt", first.parameters_dict(), position)
    (tmp_path / "cache").rename(tmp_path / "away")
    resumed = builders.find_resumed(config_for(**options), ALONE)
    builders.build_network(config_for(**options), CLASSES, ALONE, is_training=True, resumed=resumed)
    assert len(server.requests) == 1


def test_a_validation_scores_published_weights_on_their_classes_only(published):
    config = config_for(num_classes=1000)
    assert different(builders.build_network(config, CLASSES, ALONE), published) == []
    with pytest.raises(UserError) as caught:
        builders.build_network(config_for(), CLASSES, ALONE)
    assert str(caught.value) == (
        "pretrained=True scores the 1000 classes of ImageNet, and these are 3: train on them first, and give "
        "ckpt_path instead"
    )


def test_validate_takes_published_weights_from_a_mirror(server: FileServer, cache, photos, monkeypatch):
    monkeypatch.setenv("MINDCV_MIRROR", server.url)
    command = (
        "validate.py --model mnasnet_050 --pretrained --num_classes 1000 --image_resize 32 --batch_size 8"
    )
    ran = subprocess.run(
        [sys.executable, *command.split(), "--data_dir", photos, "--num_parallel_workers", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    name = "mnasnet_050-7d8bf4db.ckpt"
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1] == (
        f"error: {server.url}{name} cannot be downloaded (HTTP 404 Not Found): download it by hand to "
        f"{cache / name}, set MINDCV_MIRROR to another source, or give a file as checkpoint_path "
        "(--pretrained false --ckpt_path FILE)"
    )
    assert server.requests == [(f"/{name}", None)]
