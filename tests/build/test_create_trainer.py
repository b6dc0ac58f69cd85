"""A training run from Python: its trainer, and a user's own callbacks."""

import json
import logging
from pathlib import Path

import mindspore as ms
import pytest

from mindcv.build import create_trainer
from mindcv.config import Config
from mindcv.engine import RunCallback, RunState
from mindcv.errors import CallbackError, UserError

UPDATES = 3  # of an epoch: 24 images in batches of 8


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.setattr(logging.getLogger("mindcv"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


def config_for(photos: Path, **options) -> Config:
    common = {
        "data_dir": str(photos),
        "model": "mnasnet_small",
        "mode": 1,
        "device_target": "CPU",
        "image_resize": 32,
        "batch_size": 8,
        "num_samples": 24,
        "num_parallel_workers": 1,
        "epoch_size": 2,
        "warmup_epochs": 0,
        "lr": 0.01,
        "opt": "momentum",
        "ema": True,
        "val_while_train": True,
        "log_interval": 2,
    }
    return Config.from_options({**common, **options})


class JsonLines(RunCallback):
    """Logs a run to a file, one JSON object per line."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def log(self, **values: float | None) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def on_interval(self, run: RunState) -> None:
        interval = run.interval
        self.log(step=interval.step, loss=interval.losses[-1], lr=interval.lr)

    def on_epoch_result(self, run: RunState) -> None:
        result = run.results[-1]
        self.log(step=result.step, train_loss=result.train_loss, top1=result.score)


def test_a_users_callback_logs_intervals_and_epochs_to_a_file(photos, tmp_path):
    log = tmp_path / "log.jsonl"
    trainer = create_trainer(config_for(photos), callbacks=[JsonLines(log), ms.LossMonitor()])
    trainer.fit()
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    intervals = [line for line in lines if "loss" in line]
    epochs = [line for line in lines if "train_loss" in line]
    assert [line["step"] for line in intervals] == [2, UPDATES, UPDATES + 2, 2 * UPDATES]
    assert [line["step"] for line in epochs] == [UPDATES, 2 * UPDATES]
    assert [line["top1"] for line in epochs] == [r.ema_validation.top1_accuracy for r in trainer.results]
    assert [line["train_loss"] for line in epochs] == [r.train_loss for r in trainer.results]
    assert lines.index(epochs[0]) == lines.index(intervals[1]) + 1
    assert sorted(path.name for path in (tmp_path / "ckpt").iterdir()) == [
        "config.yaml",
        "curve.png",
        "history.csv",
        "metrics.jsonl",
        "mnasnet_small-1.ckpt",
        "mnasnet_small-2.ckpt",
        "mnasnet_small_best.ckpt",
        "report.html",
    ]


class Idle(ms.Callback):
    """Does nothing."""


def idle(run_context) -> None:
    """No callback, but a function."""


@pytest.mark.parametrize(
    ("callbacks", "named"),
    [
        (None, "callbacks=None is not a list"),
        (Idle(), "callbacks=Idle(...) is not a list"),
        (Idle, "callbacks=class Idle is not a list"),
        ("Idle", "callbacks='Idle' is not a list"),
        ([None], "callbacks[0]=None is not a callback"),
        ([Idle(), Idle], "callbacks[1]=class Idle is not a callback"),
        ([idle], "callbacks[0]=function idle is not a callback"),
        ([[Idle()]], "callbacks[0]=list(...) is not a callback"),
    ],
)
def test_what_is_not_a_callback_is_named_before_anything_else(callbacks, named):
    with pytest.raises(UserError) as caught:
        create_trainer(Config.from_options({}), callbacks=callbacks)
    assert str(caught.value).startswith(f"{named}: give instances of mindspore.Callback")
    assert not list(Path().iterdir())


def test_mindspores_own_callbacks_work(photos, tmp_path):
    callbacks = [
        ms.LossMonitor(1),
        ms.TimeMonitor(),
        ms.SummaryCollector(str(tmp_path / "summary"), collect_freq=1),
        ms.ModelCheckpoint("mindspore", str(tmp_path / "saved")),
    ]
    config = config_for(photos, epoch_size=2, ema=False, val_while_train=False)
    trainer = create_trainer(config, callbacks=callbacks)
    trainer.fit()
    assert len(trainer.results) == 2
    assert any((tmp_path / "summary").iterdir())
    assert list((tmp_path / "saved").glob("*.ckpt"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.ckpt"))


def test_a_run_resumes_under_any_name_of_its_model(photos, tmp_path):
    short = {"ema": False, "val_while_train": False, "resume": "auto", "image_resize": 32}
    create_trainer(config_for(photos, **short, model="mnasnet0_50", epoch_size=1)).fit()
    folder = tmp_path / "ckpt"
    assert names(folder) == ["mnasnet_050-1.ckpt"]
    trainer = create_trainer(config_for(photos, **short, model="mnasnet_050", epoch_size=1))
    assert trainer.run.start.epoch == 1
    # A file that an earlier version has named by the alias is found, and the run keeps to that name.
    (folder / "mnasnet_050-1.ckpt").rename(folder / "mnasnet0_50-1.ckpt")
    create_trainer(config_for(photos, **short, model="mnasnet_050", epoch_size=2)).fit()
    assert names(folder) == ["mnasnet0_50-1.ckpt", "mnasnet0_50-2.ckpt"]


def test_a_finished_trainer_trains_no_epoch_again(photos):
    trainer = create_trainer(config_for(photos, epoch_size=1, ema=False, val_while_train=False))
    trainer.fit()
    before = trainer.run.step.optimizer.global_step.asnumpy().tolist()
    trainer.fit()
    assert trainer.run.step.optimizer.global_step.asnumpy().tolist() == before == [UPDATES]
    assert [result.epoch for result in trainer.results] == [1]


def test_a_failing_callback_of_a_user_leaves_checkpoint_table_and_curve(photos, tmp_path):
    class Tracker(RunCallback):
        def on_epoch_result(self, run: RunState) -> None:
            raise ConnectionError("no answer")

    trainer = create_trainer(config_for(photos, ema=False, val_while_train=False), callbacks=[Tracker()])
    with pytest.raises(
        CallbackError, match=r"Tracker failed in on_epoch_result: ConnectionError: no answer$"
    ):
        trainer.fit()
    assert sorted(path.name for path in (tmp_path / "ckpt").iterdir()) == [
        "config.yaml",
        "curve.png",
        "history.csv",
        "metrics.jsonl",
        "mnasnet_small-1.ckpt",
    ]
