"""Averages of checkpoints: exact means, the right files, and results that load."""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv import create_model
from mindcv.engine import CheckpointManager, RunPosition, average_checkpoints, select_checkpoints
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import read_checkpoint, write_checkpoint
from mindcv.programs.average_checkpoints import average

ROOT = Path(__file__).parents[2]


def write(path: Path, metadata=None, **tensors) -> Path:
    """Write a checkpoint; two underscores in a name are a dot."""
    arrays = {n.replace("__", "."): Tensor(np.asarray(value)) for n, value in tensors.items()}
    write_checkpoint(path, arrays, metadata or {})
    return path


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_an_average_is_the_mean_of_weights_and_ema_weights_and_nothing_else(tmp_path):
    common = {"config": {"model": "net"}, "classes": ["a", "b"], "epoch": 1, "step": 9, "top1": 0.5}
    paths = [
        write(
            tmp_path / f"{i}.ckpt",
            {**common, "epoch": i},
            w=f32(i, 10 * i),
            bn__moving_mean=f32(-i),
            ema__w=f32(100 * i, 0.5),
            optimizer__moments__w=f32(i, i),
            optimizer__global_step=np.int32(i),
            step=np.int32(i),
        )
        for i in (1, 2, 6)
    ]
    tensors, metadata = average_checkpoints(paths)
    assert {name: tensor.asnumpy().tolist() for name, tensor in tensors.items()} == {
        "w": [3.0, 30.0],
        "bn.moving_mean": [-3.0],
        "ema.w": [300.0, 0.5],
    }
    assert all(tensor.dtype == ms.float32 for tensor in tensors.values())
    assert metadata == {
        "config": {"model": "net"},
        "classes": ["a", "b"],
        "averaged": [str(path) for path in paths],
    }


def test_the_sum_is_taken_in_double_precision(tmp_path):
    values = (1e8, 1.0, -1e8, 3.0)  # in float32 the 1 is lost
    paths = [write(tmp_path / f"{i}.ckpt", w=f32(value)) for i, value in enumerate(values)]
    tensors, _ = average_checkpoints(paths)
    assert tensors["w"].asnumpy().tolist() == [1.0]


def test_equal_files_average_to_themselves(tmp_path):
    weight = np.random.default_rng(0).standard_normal(1000, np.float32)
    paths = [write(tmp_path / f"{i}.ckpt", w=weight) for i in range(7)]
    tensors, _ = average_checkpoints(paths)
    np.testing.assert_array_equal(tensors["w"].asnumpy(), weight)


@pytest.mark.parametrize(
    ("second", "metadata", "message"),
    [
        ({"a": f32(1)}, {}, "lacks 'b', which {first} has: average checkpoints of one model"),
        (
            {"a": f32(1), "b": f32(1, 2, 3)},
            {},
            "'b' has shape (3,), and (2,) in {first}: average checkpoints of one model",
        ),
        (
            {"a": f32(1), "b": f32(1, 2), "c": f32(1)},
            {},
            "holds 'c', which {first} lacks: average checkpoints of one model",
        ),
        (
            {"a": f32(1), "b": f32(1, 2)},
            {"classes": ["y", "x"]},
            "its classes are not those of {first}: average checkpoints of one dataset",
        ),
        ({"optimizer__a": f32(1)}, {}, "the checkpoint lacks weights: leave it out"),
    ],
)
def test_a_file_that_differs_is_named_with_its_first_difference(tmp_path, second, metadata, message):
    first = write(tmp_path / "1.ckpt", {"classes": ["x", "y"]}, a=f32(1), b=f32(1, 2))
    other = write(tmp_path / "2.ckpt", metadata, **second)
    with pytest.raises(UserError) as caught:
        average_checkpoints([first, other])
    assert str(caught.value) == f"{other}: {message.format(first=first)}"


def test_checkpoints_of_two_runs_are_not_averaged(tmp_path):
    """A run that has left its files in the folder of another would be mixed into its average."""
    weight = ms.Parameter(Tensor([0.0]), name="w")
    for epochs in ((1, 2, 3), (1, 2)):  # the second run replaces two epochs of the first
        manager = CheckpointManager(tmp_path, "net", {"w": weight}, {})
        for epoch in epochs:
            manager.after_epoch(RunPosition(epoch=epoch), epoch, score=None, last=False)
    paths = select_checkpoints(tmp_path, last=3)
    with pytest.raises(UserError) as caught:
        average_checkpoints(paths)
    assert str(caught.value) == (
        f"{tmp_path}/net-2.ckpt: is of another training run than {tmp_path}/net-3.ckpt: average "
        "checkpoints of one run"
    )
    assert average_checkpoints(paths[1:])[1]["run"] == manager.run_id


def test_a_duplicated_file_and_an_empty_list_are_refused(tmp_path):
    path = write(tmp_path / "1.ckpt", w=f32(1))
    with pytest.raises(UserError, match="the checkpoint is duplicated"):
        average_checkpoints([path, tmp_path / "." / "1.ckpt"])
    with pytest.raises(UserError, match="nothing to average"):
        average_checkpoints([])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the files of a run: twelve epochs, three of them validated, a copy, a stop, an average."""
    folder = tmp_path_factory.mktemp("ckpt")
    weight = ms.Parameter(Tensor([0.0]), name="w")
    manager = CheckpointManager(folder, "net", {"w": weight}, {"config": {"model": "net"}}, keep=12)
    scores = {3: 0.7, 5: 0.9, 8: 0.7, 9: float("nan")}
    for epoch in range(1, 13):
        manager.after_epoch(RunPosition(epoch=epoch), epoch, score=scores.get(epoch), last=epoch == 12)
    manager.save(RunPosition(epoch=12, batch=3), 13)  # stopped within the thirteenth
    write(folder / "a.ckpt", {"averaged": []}, w=f32(1))
    return folder


@pytest.mark.parametrize(
    ("chosen", "epochs"),
    [
        ({"last": 1}, [12]),
        ({"last": 3}, [12, 11, 10]),
        ({"last": 12}, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ({"best": 1}, [5]),
        ({"best": 3}, [5, 8, 3]),
        ({"best": 5}, [5, 8, 3, 12, 11]),
    ],
)
def test_files_are_selected_by_their_metadata(folder, chosen, epochs):
    assert select_checkpoints(folder, **chosen) == [folder / f"net-{epoch}.ckpt" for epoch in epochs]


def test_the_best_epoch_counts_where_only_its_copy_is_left(folder, tmp_path):
    for name in ("net-12.ckpt", "net_best.ckpt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert select_checkpoints(tmp_path, best=2) == [tmp_path / "net_best.ckpt", tmp_path / "net-12.ckpt"]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"last": 13}, "--last 13: FOLDER has 12 checkpoints: give 1 to 12"),
        ({"best": 0}, "--best 0: FOLDER has 12 checkpoints: give 1 to 12"),
        (
            {},
            "--folder needs either --last K or --best K: give one of them",
        ),
    ],
)
def test_an_impossible_choice_is_refused(folder, chosen, message):
    with pytest.raises(UserError) as caught:
        select_checkpoints(folder, **chosen)
    assert str(caught.value) == message.replace("FOLDER", str(folder))


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(UserError, match="lacks checkpoints of a training run: give its ckpt_save_dir"):
        select_checkpoints(tmp_path, last=1)


def run_tool(*arguments: object, cwd: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mindcv.programs.average_checkpoints", *map(str, arguments)],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_tool_writes_an_average_that_create_model_loads(tmp_path):
    networks = [create_model("mnasnet_small", num_classes=3) for _ in range(2)]
    for i, network in enumerate(networks):
        state = {**network.parameters_dict(), "optimizer.global_step": Tensor(i)}
        write_checkpoint(tmp_path / f"{i}.ckpt", state, {"classes": ["a", "b", "c"]})
    assert run_tool("--output", "avg.ckpt", "0.ckpt", "1.ckpt", cwd=tmp_path) == (
        0,
        "avg.ckpt: the average of 0.ckpt, 1.ckpt\n",
        "",
    )
    metadata = read_checkpoint(tmp_path / "avg.ckpt").metadata
    assert metadata == {"classes": ["a", "b", "c"], "averaged": ["0.ckpt", "1.ckpt"]}
    loaded = create_model("mnasnet_small", num_classes=3, checkpoint_path=str(tmp_path / "avg.ckpt"))
    first, second = (network.parameters_dict() for network in networks)
    for name, parameter in loaded.parameters_dict().items():
        mean = (first[name].asnumpy().astype(np.float64) + second[name].asnumpy()) / 2
        np.testing.assert_array_equal(parameter.asnumpy(), mean.astype(np.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "it is unclear what to average: give checkpoints, or --folder with --last or --best"),
        ({"checkpoints": ["a.ckpt"], "folder": "ckpt"}, "it is unclear what to average: "),
        ({"checkpoints": ["a.ckpt"], "best": 1}, "--last and --best select from a folder: "),
        ({"checkpoints": ["a.ckpt"], "output": "avg"}, "--output avg: a MindSpore checkpoint ends in .ckpt"),
        ({"checkpoints": ["avg.ckpt"]}, "--output avg.ckpt is one of the files to average: "),
        ({"checkpoints": ["no.ckpt"]}, "no.ckpt: no such checkpoint: check the path"),
    ],
)
def test_the_tool_refuses_a_mistake(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = {"output": "avg.ckpt", "checkpoints": [], "folder": None, "last": None, "best": None}
    with pytest.raises(UserError) as caught:
        average(Namespace(**{**common, **options}))
    assert str(caught.value).startswith(message)
    assert list(tmp_path.iterdir()) == []
