"""A stopped run resumes as if it had not stopped; one that cannot be resumed says why."""

import json
import logging
import os
import re
from dataclasses import asdict
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from mindcv.build import callbacks
from mindcv.config import Config, ConfigError, options_in_scope
from mindcv.engine import EpochResult, Evaluation, RunPosition, checkpoint
from mindcv.engine.resume import different_options, find_state, restore_state
from mindcv.engine.run_files import checkpoint_files
from mindcv.errors import Stopped, UserError
from mindcv.files.checkpoint_file import read_checkpoint, write_checkpoint
from mindcv.programs import train
from tests.support.stopping import StopAt

# All that has a state: EMA model, accumulation, masks, mixing, policies, loss scale.
OPTIONS = {
    "model": "mnasnet_small",
    "mode": 1,
    "device_target": "CPU",
    "image_resize": 32,
    "batch_size": 8,
    "num_samples": 40,
    "num_parallel_workers": 1,
    "epoch_size": 2,
    "warmup_epochs": 1,
    "lr": 0.01,
    "opt": "momentum",
    "ema": True,
    "gradient_accumulation_steps": 2,
    "drop_rate": 0.2,
    "drop_path_rate": 0.2,
    "mixup": 0.2,
    "cutmix": 1.0,
    "auto_augment": "rand-m5-n1",
    "re_prob": 0.3,
    "loss_scale": 256,
    "loss_scale_type": "dynamic",
    "val_while_train": True,
}
BATCHES = 4  # of 40 images; the fifth would begin an update that the epoch does not end
NAMES = ("mnasnet_small-2.ckpt", "mnasnet_small_best.ckpt")


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    logger = logging.getLogger("mindcv")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.chdir(tmp_path)
    level = logger.level
    yield
    logger.setLevel(level)
    ms.set_context(mode=ms.PYNATIVE_MODE)


def run(monkeypatch, photos: Path, folder: Path, *, look: int = 10**9, **options) -> None:
    monkeypatch.setattr(callbacks, "StopRequest", lambda speaks: StopAt(look))
    train.train(
        Config.from_options({**OPTIONS, "data_dir": str(photos), "ckpt_save_dir": str(folder), **options})
    )


@pytest.fixture(scope="module")
def uninterrupted(photos, tmp_path_factory) -> Path:
    """The folder of a run without a stop."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    with pytest.MonkeyPatch.context() as monkeypatch:
        run(monkeypatch, photos, folder)
    return folder


def assert_same(folder: Path, other: Path, names: tuple[str, ...] = NAMES) -> None:
    """The two runs have ended with the same bits, and the same table but for the times."""
    for name in names:
        mine, others = (read_checkpoint(where / name) for where in (folder, other))
        assert list(mine.tensors) == list(others.tensors)
        different = [n for n, value in mine.tensors.items() if value.tobytes() != others.tensors[n].tobytes()]
        assert different == []
    timeless = [
        [{k: v for k, v in asdict(r).items() if "second" not in k} for r in progress(where).results]
        for where in (folder, other)
    ]
    assert timeless[0] == timeless[1]


def progress(folder: Path, name: str = NAMES[0]) -> RunPosition:
    return RunPosition.from_metadata(read_checkpoint(folder / name).metadata["progress"])


@pytest.mark.parametrize(
    ("look", "epoch", "batch"),
    [
        pytest.param(3, 0, 2, id="after an update"),
        pytest.param(6, 0, BATCHES, id="before the validation", marks=pytest.mark.slow),
        pytest.param(8, 0, BATCHES, id="in the validation", marks=pytest.mark.slow),
        pytest.param(17, 1, 2, id="in the second epoch", marks=pytest.mark.slow),
    ],
)
def test_a_run_stopped_anywhere_ends_with_the_same_bits(
    monkeypatch, photos, uninterrupted, tmp_path, look, epoch, batch
):
    with pytest.raises(
        Stopped, match=rf"^stopped in epoch {epoch + 1}; the state is saved: continue with --resume auto$"
    ):
        run(monkeypatch, photos, tmp_path, look=look)
    latest = progress(tmp_path, "mnasnet_small_latest.ckpt")
    assert (latest.epoch, latest.batch, len(latest.losses)) == (epoch, batch, batch)
    run(monkeypatch, photos, tmp_path, resume="auto")
    assert_same(tmp_path, uninterrupted)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in uninterrupted.iterdir())


@pytest.mark.slow
def test_a_run_resumes_from_a_named_file_and_trains_to_the_same_total(
    monkeypatch, photos, uninterrupted, tmp_path
):
    run(monkeypatch, photos, tmp_path, resume=str(uninterrupted / "mnasnet_small-1.ckpt"))
    assert_same(tmp_path, uninterrupted, NAMES[:1])
    assert (tmp_path / NAMES[1]).exists()  # the best of this folder


def test_a_finished_run_is_not_trained_on(monkeypatch, photos, uninterrupted, tmp_path, capsys):
    before = (uninterrupted / NAMES[0]).read_bytes()
    run(monkeypatch, photos, uninterrupted, resume="auto")
    assert (uninterrupted / NAMES[0]).read_bytes() == before
    assert re.findall(r"epoch \d/2", capsys.readouterr().out) == []


@pytest.mark.slow
def test_a_checkpoint_within_an_epoch_comes_every_so_many_updates(monkeypatch, photos, tmp_path):
    saved = []
    write = checkpoint.write_checkpoint
    monkeypatch.setattr(
        checkpoint,
        "write_checkpoint",
        lambda path, tensors, metadata: (
            saved.append((path.name, metadata["step"])) or write(path, tensors, metadata)
        ),
    )
    run(monkeypatch, photos, tmp_path, ckpt_save_steps=1, epoch_size=1, warmup_epochs=0)
    names = [name for name, _ in saved]
    assert saved[0] == ("mnasnet_small_latest.ckpt", 1)
    assert names.count("mnasnet_small_latest.ckpt") == 1
    assert not (tmp_path / "mnasnet_small_latest.ckpt").exists()  # the epoch's own has taken its place


# --- which checkpoint, and what fits -----------------------------------------------------------------------


def state(value: float = 1.0) -> dict[str, Parameter]:
    return {"w": Parameter(Tensor([value, 2.0], ms.float32), name="w")}


def save(path: Path, value: float, epoch: int, batch: int = 0) -> None:
    """Write a checkpoint; the later its epoch, the older it is by the clock."""
    position = RunPosition(epoch=epoch, batch=batch, steps_per_epoch=4)
    write_checkpoint(path, state(value), {"progress": position.metadata()})
    os.utime(path, ns=(10**18 - 100 * epoch - batch,) * 2)


def test_the_newest_intact_checkpoint_is_found_and_a_damaged_one_is_named(tmp_path, caplog):
    for name, *position in (("net-2", 2), ("net_best", 2), ("net_latest", 2, 3), ("net-3", 3), ("x-9", 9)):
        save(tmp_path / f"{name}.ckpt", 1.0, *position)
    (tmp_path / "net-1.ckpt").symlink_to("nowhere")
    newest_first = ("net-3.ckpt", "net_latest.ckpt", "net-2.ckpt", "net_best.ckpt")
    missing = f"{tmp_path / 'net-1.ckpt'}: no such checkpoint: check the path; the one before it is tried"
    damaged = []
    for name in newest_first:
        with caplog.at_level(logging.WARNING):
            path, found = find_state(tmp_path, "net")
        assert (path, found.tensors["w"].tolist()) == (tmp_path / name, [1.0, 2.0])
        assert [record.getMessage() for record in caplog.records] == [missing, *damaged]
        caplog.clear()
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-7])
        said = "the checkpoint is truncated or damaged: use another one; the one before it is tried"
        damaged.append(f"{tmp_path / name}: {said}")


def test_without_a_checkpoint_a_run_starts_and_with_only_damaged_ones_it_does_not(tmp_path):
    assert find_state(tmp_path, "net") is None
    assert find_state(tmp_path / "missing", "net") is None
    (tmp_path / "net-1.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match=r"no checkpoint in .* can be used: empty it to start again"):
        find_state(tmp_path, "net")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "lacks 'w', which this run has"),
        ({"w": np.zeros(3, np.float32)}, "'w' has shape (3,), and (2,) in this run"),
        ({"w": np.zeros(2, np.float32), "v": np.zeros(1)}, "holds 'v', which this run lacks"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_is_changed(found, said):
    mine = state()
    with pytest.raises(UserError) as caught:
        restore_state(Path("net.ckpt"), found, mine)
    assert str(caught.value) == f"net.ckpt: {said}: resume with the options that the run was started with"
    assert mine["w"].asnumpy().tolist() == [1.0, 2.0]


def test_epochs_of_another_length_are_refused(monkeypatch, photos, uninterrupted, tmp_path):
    with pytest.raises(UserError) as caught:
        run(monkeypatch, photos, tmp_path, resume=str(uninterrupted / "mnasnet_small-1.ckpt"), batch_size=4)
    assert str(caught.value) == (
        f"{uninterrupted / 'mnasnet_small-1.ckpt'}: an epoch had 4 batches, and has 10 now: "
        "resume with the same batch_size, dataset and number of processes"
    )


def test_weights_alone_cannot_be_resumed_from(monkeypatch, photos, tmp_path):
    path = tmp_path / "weights.ckpt"
    write_checkpoint(path, state(), {})
    with pytest.raises(UserError) as caught:
        run(monkeypatch, photos, tmp_path, resume=str(path))
    assert str(caught.value) == (
        f"{path}: lacks the state of a training run: give it as ckpt_path, which loads the weights"
    )


def test_two_things_to_start_from_are_refused():
    with pytest.raises(ConfigError) as caught:
        Config.from_options({"resume": "auto", "ckpt_path": "a.ckpt"})
    assert str(caught.value) == "resume=auto and ckpt_path=a.ckpt both say what to start from: keep one"


def test_options_that_differ_are_named():
    then, now = {"lr": 0.1, "opt": "sgd", "resume": ""}, {"lr": 0.2, "opt": "sgd", "resume": "auto", "new": 1}
    assert different_options(then, now, ignored=options_in_scope("run")) == "lr=0.2 (was 0.1)"
    assert different_options(then, then) == ""


def test_a_position_survives_json():
    result = EpochResult(
        epoch=1,
        step=4,
        lr=0.1,
        train_loss=1 / 3,
        train_seconds=0.1,
        images_per_second=7.0,
        validation=Evaluation(images=3, top1=1, top5=3, loss_sum=0.1),
    )
    position = RunPosition(
        epoch=1, batch=2, losses=(1 / 3, 0.1), seconds=2.5, overflows=3, steps_per_epoch=4, results=(result,)
    )
    assert RunPosition.from_metadata(json.loads(json.dumps(position.metadata()))) == position


def test_a_position_of_an_earlier_version_is_read():
    """Written by the version before the trainer had callbacks."""
    result = {
        "epoch": 1,
        "step": 44,
        "lr": 0.012,
        "train_loss": 3.5,
        "train_seconds": 20.5,
        "images_per_second": 70.0,
        "validation": {"images": 360, "top1": 70, "top5": 183, "loss_sum": 9.5},
        "ema_validation": None,
        "val_seconds": 1.5,
        "overflows": 0,
    }
    metadata = {
        "epoch": 1,
        "batch": 2,
        "losses": [2.5, 2.25],
        "seconds": 1.25,
        "overflows": 3,
        "steps_per_epoch": 44,
        "results": [result],
    }
    position = RunPosition.from_metadata(metadata)
    assert position.metadata() == {**metadata, "losses": (2.5, 2.25), "results": (result,)}
    assert position.results[0].validation == Evaluation(images=360, top1=70, top5=183, loss_sum=9.5)


def test_ranks_share_the_position_of_the_first():
    position = RunPosition(epoch=1, batch=2, losses=(1 / 3, 0.1), seconds=2.5, overflows=3, steps_per_epoch=4)
    tables = iter([np.array([1.0, 2, 2.5, 3, 4]), np.array([1 / 3, 0.1])])
    assert RunPosition().shared(lambda values: values + next(tables)) == position


def test_a_models_files_are_not_those_of_one_whose_name_begins_alike(tmp_path):
    mine = ["slimnet-12.ckpt", "slimnet_best.ckpt", "slimnet_latest.ckpt"]
    others = ["slimnet_050-1.ckpt", "slimnet_050_best.ckpt", "slimnet-050-1.ckpt", "slimnet-465d366d.ckpt"]
    for name in mine + others:
        (tmp_path / name).touch()
    assert sorted(path.name for path in checkpoint_files(tmp_path, "slimnet")) == mine
    assert len(checkpoint_files(tmp_path, "slimnet", "slimnet_050")) == 5
