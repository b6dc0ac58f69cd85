"""The table and the curve of a run where they cannot be written: training continues."""

import logging
import shutil
from pathlib import Path

import mindspore as ms
import pytest
from test_trainer import RATES, Batches, network, step_of

from mindcv.engine import CheckpointManager, RunPosition, training_state
from mindcv.engine.callbacks import LearningCurve
from mindcv.engine.resume import find_state, restore_state
from tests.support.training import usual_trainer

FILES = ("curve.png", "history.csv")


@pytest.fixture(autouse=True)
def _pynative(monkeypatch):
    monkeypatch.setattr(logging.getLogger("mindcv"), "handlers", [])
    ms.set_context(mode=ms.PYNATIVE_MODE)


def train(folder: Path, epochs: int, report: Path) -> list[int]:
    """Train or resume in a folder, with the table and the curve in another; returns the epochs."""
    net = network()
    step = step_of(net)
    state = training_state(net, step)
    found, start = find_state(folder, "net"), RunPosition()
    if found is not None:
        restore_state(found[0], found[1].tensors, state)
        start = RunPosition.from_metadata(found[1].metadata["progress"])
    training = usual_trainer(
        step,
        Batches(),
        epochs,
        learning_rates=RATES,
        folder=report,
        callbacks=[LearningCurve(report)],
        checkpoints=CheckpointManager(folder, "net", state, {}),
        start=start,
    )
    training.fit()
    return [result.epoch for result in training.results]


def warnings(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_a_run_and_a_resumed_one_train_on_where_folders_are_in_the_way(tmp_path, caplog):
    for name in FILES:
        (tmp_path / name).mkdir()
    assert train(tmp_path, 2, tmp_path) == [1, 2]
    expected = [
        f"{tmp_path}/{name} cannot be written (Is a directory): training continues without it"
        for name in ("history.csv", "curve.png")
    ]
    assert warnings(caplog) == expected  # one line each, though there were two epochs
    assert sorted(path.name for path in tmp_path.iterdir()) == [*FILES, "net-1.ckpt", "net-2.ckpt"]
    caplog.clear()
    assert train(tmp_path, 3, tmp_path) == [1, 2, 3]
    assert warnings(caplog) == expected


def test_a_missing_folder_is_a_warning_and_the_checkpoint_is_written(tmp_path, caplog):
    assert train(tmp_path, 1, tmp_path / "missing") == [1]
    assert warnings(caplog)[0] == (
        f"{tmp_path}/missing/history.csv cannot be written (No such file or directory): "
        "training continues without it"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["net-1.ckpt"]


def test_a_killed_writers_leftovers_are_removed(tmp_path):
    for name in FILES:
        (tmp_path / f".{name}.abc123").mkdir()
    CheckpointManager(tmp_path, "net", {}, {}).prepare_folder()
    assert list(tmp_path.iterdir()) == []


def test_files_are_written_again_once_they_can_be(tmp_path, caplog):
    report = tmp_path / "report"
    (report / "history.csv").mkdir(parents=True)
    train(tmp_path, 1, report)
    shutil.rmtree(report / "history.csv")
    train(tmp_path, 2, report)
    assert len((report / "history.csv").read_text(encoding="utf-8").splitlines()) == 3
    assert len(warnings(caplog)) == 1
