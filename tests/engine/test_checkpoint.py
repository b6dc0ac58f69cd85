"""Which checkpoints are written and kept, and what they hold."""

import math
import shutil
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindcv.engine import CheckpointManager, RunPosition, training_state
from mindcv.engine.run_files import refuse_earlier_run
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import read_checkpoint
from mindcv.models.weights import load_weights
from mindcv.step import NetworkWithLoss, TrainStep


@pytest.fixture
def weight() -> Parameter:
    return Parameter(Tensor([0.0]), name="w")


def run(folder: Path, weight: Parameter, scores: list[float | None], **options) -> CheckpointManager:
    """Finish an epoch for each score; the weight is the epoch."""
    manager = CheckpointManager(folder, "net", {"w": weight}, {"classes": ["a", "b"]}, **options)
    for epoch, score in enumerate(scores, 1):
        weight.set_data(Tensor([float(epoch)]))
        manager.after_epoch(RunPosition(epoch=epoch), 10 * epoch, score=score, last=epoch == len(scores))
    return manager


def epochs(folder: Path) -> list[int]:
    """Of the numbered checkpoints; each must hold its own epoch."""
    found = sorted(int(path.stem.removeprefix("net-")) for path in folder.glob("net-*.ckpt"))
    for epoch in found:
        read = read_checkpoint(folder / f"net-{epoch}.ckpt")
        assert read.tensors["w"].tolist() == [epoch]
        assert (read.metadata["epoch"], read.metadata["step"]) == (epoch, 10 * epoch)
    return found


def best(folder: Path) -> int | None:
    path = folder / "net_best.ckpt"
    return read_checkpoint(path).metadata["epoch"] if path.exists() else None


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"keep": 2}, [4, 5]),
        ({"keep": 1}, [5]),
        ({"interval": 2}, [2, 4, 5]),
        ({"interval": 2, "keep": 2}, [4, 5]),
        ({"interval": 9}, [5]),
        ({"keep": 0}, []),
    ],
)
def test_the_latest_are_kept_and_the_last_epoch_is_always_saved(tmp_path, weight, options, kept):
    run(tmp_path, weight, [0.5, 0.4, 0.3, 0.2, 0.1], **options)
    assert epochs(tmp_path) == kept
    assert best(tmp_path) == 1


@pytest.mark.parametrize(
    ("scores", "kept", "winner"),
    [
        ([0.1, 0.9, 0.5, 0.3], [2, 3], 2),
        ([0.1, 0.2, 0.3, 0.4], [3, 4], 4),
        ([0.5, 0.5, 0.5, 0.5], [3, 4], 1),
        ([0.9, 0.2, 0.2, 0.2], [1, 4], 1),
        ([0.0, None, math.nan, 0.1], [1, 4], 4),
        ([None, 0.1, None, 0.2], [2, 4], 4),
        ([math.nan, 0.0, 0.1, math.nan], [2, 3], 3),
        ([None, None, math.nan, None], [3, 4], None),
        ([1.0, 1.0, None, math.nan], [1, 2], 1),
    ],
)
def test_the_best_are_kept_and_what_has_no_score_ranks_last(tmp_path, weight, scores, kept, winner):
    run(tmp_path, weight, scores, policy="top_k", keep=2)
    assert epochs(tmp_path) == kept
    assert best(tmp_path) == winner


def test_top_k_ranks_only_the_epochs_that_are_saved(tmp_path, weight):
    run(tmp_path, weight, [0.9, 0.1, 0.8, 0.2, 0.7, 0.3], policy="top_k", keep=2, interval=2)
    assert epochs(tmp_path) == [4, 6]
    assert best(tmp_path) == 1


def test_keep_0_writes_the_best_only(tmp_path, weight):
    manager = run(tmp_path, weight, [0.1, 0.3, 0.2], keep=0)
    assert list(tmp_path.iterdir()) == [manager.best_path] == [tmp_path / "net_best.ckpt"]
    read = read_checkpoint(manager.best_path)
    assert read.tensors["w"].tolist() == [2]
    assert read.metadata == {
        "classes": ["a", "b"],
        "run": manager.run_id,
        "branch": 0,
        "epoch": 2,
        "step": 20,
        "top1": 0.3,
        "progress": RunPosition(epoch=2).metadata() | {"losses": [], "results": []},
    }


@pytest.mark.parametrize("score", [None, math.nan])
def test_without_a_score_nothing_is_the_best(tmp_path, weight, score):
    manager = run(tmp_path, weight, [score, score])
    assert not manager.best_path.exists()
    assert epochs(tmp_path) == [1, 2]


def test_a_score_of_zero_is_better_than_none_and_the_first_of_equals_stays(tmp_path, weight):
    run(tmp_path, weight, [None, 0.0, 0.0])
    assert best(tmp_path) == 2


def test_an_epoch_without_validation_says_so(tmp_path, weight):
    run(tmp_path, weight, [None])
    assert read_checkpoint(tmp_path / "net-1.ckpt").metadata["top1"] is None


def test_only_its_own_surplus_is_deleted(tmp_path, weight):
    for name in ("net-0.ckpt", "other-1.ckpt", "net_best.txt"):
        (tmp_path / name).touch()
    manager = CheckpointManager(tmp_path, "net", {"w": weight}, {}, keep=1)
    manager.after_epoch(RunPosition(epoch=1), 1, score=None, last=False)
    (tmp_path / "net-1.ckpt").unlink()  # by someone else meanwhile
    manager.after_epoch(RunPosition(epoch=2), 2, score=None, last=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net-0.ckpt",
        "net-2.ckpt",
        "net_best.txt",
        "other-1.ckpt",
    ]


def test_the_folder_is_created_and_nothing_is_left_in_it(tmp_path, weight):
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        CheckpointManager(str(folder), "net", {"w": weight}, {}).prepare_folder()
        assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_before_training(tmp_path, weight):
    (tmp_path / "file").touch()
    reasons = {tmp_path / "file": "File exists", tmp_path / "file" / "ckpt": "Not a directory"}
    for folder, reason in reasons.items():
        with pytest.raises(UserError) as caught:
            CheckpointManager(folder, "net", {"w": weight}, {}).prepare_folder()
        assert str(caught.value) == f"ckpt_save_dir={folder} cannot be written ({reason}): choose another one"


def test_a_run_that_starts_refuses_the_files_of_another_and_a_resumed_one_keeps_its_id(tmp_path, weight):
    first = run(tmp_path, weight, [0.5, 0.6])
    for name in ("other", "ne", "net_050"):
        refuse_earlier_run(tmp_path, name)
    with pytest.raises(UserError) as caught:
        refuse_earlier_run(tmp_path, "alias", "net")
    assert str(caught.value) == (
        f"ckpt_save_dir={tmp_path} holds an earlier run, net-2.ckpt: continue it with --resume auto, "
        "choose another folder, or delete its files"
    )
    metadata = read_checkpoint(tmp_path / "net-1.ckpt").metadata
    resumed, elsewhere = (CheckpointManager(tmp_path, "net", {"w": weight}, {}) for _ in range(2))
    assert len({metadata["run"], resumed.run_id, elsewhere.run_id}) == 3
    resumed.restore(metadata, tmp_path / "net-1.ckpt")
    assert first.run_id == metadata["run"] == resumed.run_id
    with pytest.raises(UserError, match=r"holds an earlier run, net-2.ckpt: continue it with --resume"):
        elsewhere.restore(metadata, tmp_path / "backup" / "net-1.ckpt")


def test_training_state_is_the_network_by_its_names_and_the_optimizer_by_a_prefix():
    network = nn.SequentialCell(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    optimizer = nn.Momentum(network.trainable_params(), 0.1, 0.9)
    state = training_state(network, TrainStep(NetworkWithLoss(network, nn.MSELoss()), optimizer))
    own = ["0.weight", "1.moving_mean", "1.moving_variance", "1.gamma", "1.beta"]
    assert list(state)[:5] == own
    assert set(state) - set(own) == {
        "optimizer.global_step",
        "optimizer.learning_rate",
        "optimizer.momentum",
        "optimizer.moments.0.weight",
        "optimizer.moments.1.gamma",
        "optimizer.moments.1.beta",
    }
    for name in own:
        assert state[name] is network.parameters_dict()[name]


def test_a_checkpoint_holds_what_training_has_changed(tmp_path):
    network = nn.Dense(2, 2)
    optimizer = nn.Momentum(network.trainable_params(), 0.1, 0.9)
    step = TrainStep(NetworkWithLoss(network, nn.CrossEntropyLoss()), optimizer).set_train()
    manager = CheckpointManager(tmp_path, "net", training_state(network, step), {})
    images = Tensor(np.random.default_rng(0).standard_normal((4, 2), np.float32))
    for epoch in (1, 2):
        step(images, Tensor([0, 1, 0, 1], ms.int32))
        manager.after_epoch(RunPosition(epoch=epoch), epoch, score=None, last=epoch == 2)
    first, second = (read_checkpoint(tmp_path / f"net-{epoch}.ckpt").tensors for epoch in (1, 2))
    assert first["optimizer.global_step"].tolist() == [1]
    assert second["optimizer.global_step"].tolist() == [2]
    for name, parameter in training_state(network, step).items():
        np.testing.assert_array_equal(second[name], parameter.asnumpy(), err_msg=name)
    for name in ("weight", "optimizer.moments.weight"):
        assert np.abs(second[name] - first[name]).max() > 1e-4
    other = nn.Dense(2, 2)
    load_weights(other, tmp_path / "net-2.ckpt")
    np.testing.assert_array_equal(other.weight.asnumpy(), network.weight.asnumpy())


class DeletesTheFolder(dict):
    """Tensors that delete the folder of their checkpoint while it is written, a few times."""

    def __init__(self, folder: Path, times: int, **tensors: Parameter) -> None:
        super().__init__(tensors)
        self.folder, self.times = folder, times

    def items(self):
        if self.times:
            self.times -= 1
            shutil.rmtree(self.folder)
        return super().items()


@pytest.mark.parametrize("times", [1, 2])
def test_a_folder_deleted_while_a_checkpoint_is_written_is_created_again(tmp_path, weight, caplog, times):
    folder = tmp_path / "run"
    folder.mkdir()
    manager = run(folder, weight, [0.9, 0.8], policy="top_k", keep=1)
    manager.tensors = DeletesTheFolder(folder, times, w=weight)
    weight.set_data(Tensor([3.0]))
    manager.after_epoch(RunPosition(epoch=3), 30, score=0.5, last=False)
    assert epochs(folder) == [3]  # though an earlier one was better
    assert best(folder) == 3
    warning = f"{folder}: deleted while training; it is created again"
    assert [record.getMessage() for record in caplog.records if "deleted" in record.msg] == [warning] * times


def test_a_folder_that_is_always_deleted_is_an_error(tmp_path, weight):
    folder = tmp_path / "run"
    manager = run(folder, weight, [0.9])
    manager.tensors = DeletesTheFolder(folder, 99, w=weight)
    with pytest.raises(
        UserError, match=r"run/net_latest\.ckpt: the checkpoint cannot be written \(No such file"
    ):
        manager.save(RunPosition(epoch=1, batch=1), 11)
