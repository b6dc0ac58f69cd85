"""Training, validation and teachers with weights from elsewhere have the epsilon these were made with."""

import logging
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import safetensors.torch
from mindspore import nn

from mindcv import build
from mindcv.build import callbacks
from mindcv.config import Config
from mindcv.engine.checkpoint_averaging import average_checkpoints
from mindcv.errors import Stopped, UserError
from mindcv.files.checkpoint_file import read_checkpoint, write_checkpoint
from mindcv.models import create_model
from mindcv.models.conversion import convert_weights
from mindcv.programs import train
from mindcv.runtime.session import Runtime
from tests.support.random_weights import ours, peer
from tests.support.stopping import StopAt

ROOT = Path(__file__).parents[2]
ALONE = Runtime(device="CPU")
CLASSES = ("apple", "pear", "sky")
MODEL = "mnasnet_small"


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    logger = logging.getLogger("mindcv")
    monkeypatch.setattr(logger, "handlers", [])
    level = logger.level
    monkeypatch.chdir(tmp_path)
    yield
    logger.setLevel(level)
    ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A file of timm's for three classes."""
    path = tmp_path_factory.mktemp("timm") / "timm.safetensors"
    safetensors.torch.save_file(peer("timm", MODEL, classes=3).state_dict(), path)
    return path


def config_for(photos: Path | str = "", **options) -> Config:
    common = {"data_dir": str(photos), "model": MODEL, "image_resize": 32, "batch_size": 8, "mode": 1}
    return Config.from_options({**common, "num_parallel_workers": 1, "device_target": "CPU", **options})


def epsilons(network: nn.Cell) -> set[float]:
    return {cell.eps for _, cell in network.cells_and_names() if hasattr(cell, "moving_variance")}


def test_network_and_ema_model_have_the_epsilon_of_the_weights_or_the_one_asked_for(weights):
    for options, eps in (({}, 1e-5), ({"bn_eps": 1e-3}, 1e-3)):
        config = config_for(ckpt_path=str(weights), ema=True, **options)
        network = build.build_network(config, CLASSES, ALONE, is_training=True)
        ema_model = build.build_ema_model(config, network, CLASSES, ALONE)
        assert epsilons(network) == epsilons(ema_model) == {eps}


@pytest.mark.slow
def test_a_run_from_weights_of_timm_resumes_with_their_epsilon_and_ends_with_the_same_bits(
    photos, weights, tmp_path, monkeypatch
):
    common = {"num_samples": 24, "epoch_size": 1, "warmup_epochs": 0, "lr": 0.01, "ema": True}

    def run(folder: str, look: int = 10**9, **options) -> Path:
        monkeypatch.setattr(callbacks, "StopRequest", lambda speaks: StopAt(look))
        train.train(config_for(photos, ckpt_save_dir=folder, **common, **options))
        return tmp_path / folder / f"{MODEL}-1.ckpt"

    whole = read_checkpoint(run("whole", ckpt_path=str(weights)))
    assert (whole.metadata["bn_eps"], whole.metadata["padding"]) == (1e-5, "symmetric")
    assert whole.metadata["config"]["bn_eps"] is None
    with pytest.raises(Stopped):
        run("stopped", 3, ckpt_path=str(weights))
    went_on = read_checkpoint(run("stopped", resume="auto"))
    assert went_on.metadata["bn_eps"] == 1e-5
    different = [n for n, v in whole.tensors.items() if v.tobytes() != went_on.tensors[n].tobytes()]
    assert different == []

    averaged, metadata = average_checkpoints([tmp_path / "whole" / f"{MODEL}-1.ckpt"])
    assert (metadata["bn_eps"], metadata["padding"]) == (1e-5, "symmetric")
    assert "classifier.weight" in averaged


def test_a_resumed_run_on_another_rank_gets_the_epsilon_from_the_first(tmp_path):
    path, told = tmp_path / "a.ckpt", []
    write_checkpoint(path, ours(MODEL).parameters_dict(), {"progress": {}, "bn_eps": 1e-5, "padding": "same"})

    class Ranks(Runtime):
        def sum_over_ranks(self, values: np.ndarray) -> np.ndarray:
            told.append(values)
            return np.sum(told, axis=0)

    config = config_for(resume=str(path))
    for rank in range(2):
        runtime = Ranks(device="CPU", rank=rank, world_size=2)
        resumed = build.find_resumed(config, runtime)
        assert (resumed is None) is (rank == 1)
        network = build.build_network(config, CLASSES, runtime, is_training=True, resumed=resumed)
        assert (epsilons(network), network.padding) == ({1e-5}, "same")


def test_checkpoints_of_different_epsilons_are_not_averaged(tmp_path):
    paths = [tmp_path / "a.ckpt", tmp_path / "b.ckpt"]
    for path, eps in zip(paths, (1e-3, 1e-5), strict=True):
        write_checkpoint(path, ours(MODEL).parameters_dict(), {"bn_eps": eps})
    with pytest.raises(UserError) as caught:
        average_checkpoints(paths)
    assert str(caught.value) == (
        f"{paths[1]}: was made with bn_eps=1e-05, and {paths[0]} with 0.001: average checkpoints of one model"
    )


def test_a_teacher_has_the_epsilon_of_its_file_and_its_errors_say_that_it_is_the_teachers(weights):
    config = config_for(teacher=MODEL, teacher_ckpt_path=str(weights))
    student = build.build_network(config_for(), CLASSES, ALONE, is_training=True)
    forward = build.build_forward(config, student, CLASSES)
    assert (epsilons(forward.teacher), epsilons(student)) == ({1e-5}, {1e-3})
    config = config_for(teacher="mnasnet_050", teacher_ckpt_path=str(weights))
    with pytest.raises(UserError) as caught:
        build.build_forward(config, student, CLASSES)
    assert str(caught.value).startswith(f"teacher=mnasnet_050, teacher_ckpt_path: {weights}: ")


def test_validate_scores_weights_of_timm_as_it_scores_them_converted(photos, weights, tmp_path):
    convert_weights(weights, tmp_path / "ours.ckpt", model=MODEL)
    recipe = ROOT / "configs" / "mnasnet" / "mnasnet1.0_finetune.yaml"
    options = ["--model", MODEL, "--data_dir", str(photos), "--image_resize", "32", "--device_target", "CPU"]
    options += [
        "--pretrained",
        "False",
        "--ema",
        "False",
        "--distribute",
        "False",
        "--num_parallel_workers",
        "1",
    ]
    outputs = []
    for path in (weights, tmp_path / "ours.ckpt"):
        ran = subprocess.run(
            [sys.executable, "validate.py", "-c", str(recipe), *options, "--ckpt_path", str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        unnamed = (
            f"{path}: stores no class names; its outputs are taken for the 3 classes of {photos}/val in "
        )
        has_checksum = path.suffix == ".ckpt"
        remark = "has no checksum, so damage to its values cannot be noticed: 'mindcv add-checksum' adds one"
        said = unnamed if has_checksum else f"{path}: {remark}\n{unnamed}"
        assert (ran.returncode, ran.stderr) == (0, f"{said}their order\n")
        outputs.append(ran.stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith("top-1 ")


@pytest.mark.parametrize("with_ema", [False, True])
def test_a_teacher_trained_with_ema_teaches_with_its_ema_weights(tmp_path, caplog, with_ema):
    path = tmp_path / "teacher.ckpt"
    raw = create_model(MODEL, len(CLASSES)).parameters_dict()
    ema = {f"ema.{name}": ms.Tensor(value.asnumpy() + 1) for name, value in raw.items()}
    write_checkpoint(path, {**raw, **(ema if with_ema else {})}, {})
    student = build.build_network(config_for(), CLASSES, ALONE, is_training=True)
    with caplog.at_level(logging.INFO):
        config = config_for(teacher=MODEL, teacher_ckpt_path=str(path))
        forward = build.build_forward(config, student, CLASSES)
    for parameter in forward.teacher.get_parameters():
        expected = raw[parameter.name.removeprefix("teacher.")].asnumpy() + with_ema
        np.testing.assert_array_equal(parameter.asnumpy(), expected)
    said = f"teacher={MODEL}: teaches with the EMA weights of {path}"
    assert [record.getMessage() for record in caplog.records] == [said] * with_ema
