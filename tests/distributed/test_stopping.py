"""Runs that are killed or asked to stop, as real processes: nothing is lost, and the end is the same."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from distributed.jobs import LAUNCH, START_AND_RUN, Job, kill, python, run
from distributed.recipes import MODEL, TRAIN, TRAINING

from mindcv.files.checkpoint_file import Checkpoint, read_checkpoint

pytestmark = pytest.mark.slow

SECONDS_TO_STOP = 30
KILLS = 3
KILLS_AT_RANDOM = 15  # in each mode; `project/killed_programs.py` makes more of them in one process
STATEFUL = {
    "ema": True,
    "gradient_accumulation_steps": 2,
    "drop_rate": 0.2,
    "drop_path_rate": 0.2,
    "mixup": 0.2,
    "loss_scale_type": "dynamic",
    "loss_scale": 256.0,
    "epoch_size": 4,
    "batch_size": 4,
    "ckpt_save_steps": 1,
}
MODES = pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])


def last(folder: Path) -> Checkpoint:
    return read_checkpoint(folder / "ckpt" / f"{MODEL}-{STATEFUL['epoch_size']}.ckpt")


def newest(folder: Path) -> float:
    """When the newest checkpoint was written."""
    return max((path.stat().st_mtime for path in folder.glob("ckpt/*.ckpt")), default=0.0)


def killed(command: list[str], folder: Path, draw: random.Random, victim: Callable[[Job], int]) -> None:
    """Start a run, and kill a process of it at some moment after its next few checkpoints."""
    with Job(command, folder) as job:
        for _ in range(draw.randint(1, 3)):
            before = newest(folder)
            job.until(lambda t=before: newest(folder) > t or job.launcher.poll() is not None, "checkpoint")
            assert job.launcher.poll() is None, job.finish()
        time.sleep(draw.random())
        kill(victim(job))
        job.until(lambda: not job.processes(), "end of all processes", seconds=SECONDS_TO_STOP)


@MODES
def test_a_run_killed_again_and_again_ends_with_the_same_bits(write, mode):
    whole, parts = (write(TRAINING, **STATEFUL, mode=mode) for _ in range(2))
    command = python(TRAIN, "-c", "recipe.yaml")
    assert run(command, whole).status == 0
    draw = random.Random(mode)
    for _ in range(KILLS):
        killed([*command, "--resume", "auto"], parts, draw, lambda job: job.launcher.pid)
    finished = run([*command, "--resume", "auto"], parts)
    assert finished.status == 0, finished
    mine, others = last(parts), last(whole)
    assert list(mine.tensors) == list(others.tensors)
    assert [n for n, v in mine.tensors.items() if v.tobytes() != others.tensors[n].tobytes()] == []
    losses = [[r["train_loss"] for r in c.metadata["progress"]["results"]] for c in (mine, others)]
    assert losses[0] == losses[1]
    assert sorted(p.name for p in (parts / "ckpt").iterdir()) == sorted(
        p.name for p in (whole / "ckpt").iterdir()
    )


@MODES
def test_two_ranks_one_of_them_killed_end_with_the_same_numbers(write, mode):
    whole, parts = (write(TRAINING, **STATEFUL, mode=mode) for _ in range(2))
    command = LAUNCH["mpirun"](2, TRAIN, "-c", "recipe.yaml")
    assert run(command, whole).status == 0
    draw = random.Random(mode)
    for rank in (0, 1):
        killed([*command, "--resume", "auto"], parts, draw, lambda job, rank=rank: job.rank(rank))
    finished = run([*command, "--resume", "auto"], parts)
    assert finished.status == 0, finished
    assert_same_numbers(parts, whole)


def assert_same_numbers(parts: Path, whole: Path) -> None:
    """The last and the best checkpoint of two runs on two ranks agree, and no other file is left."""
    assert sorted(p.name for p in (parts / "ckpt").iterdir()) == sorted(
        p.name for p in (whole / "ckpt").iterdir()
    )
    for name in (f"{MODEL}-{STATEFUL['epoch_size']}.ckpt", f"{MODEL}_best.ckpt"):
        mine, others = (read_checkpoint(folder / "ckpt" / name) for folder in (parts, whole))
        assert mine.metadata["epoch"] == others.metadata["epoch"]
        assert list(mine.tensors) == list(others.tensors)
        for tensor, value in mine.tensors.items():
            np.testing.assert_allclose(value, others.tensors[tensor], atol=1e-6, rtol=1e-6, err_msg=tensor)


@pytest.mark.hostile
@MODES
def test_two_ranks_killed_at_random_moments_end_with_the_same_numbers(write, mode):
    whole = write(TRAINING, **STATEFUL, mode=mode)
    command = LAUNCH["mpirun"](2, TRAIN, "-c", "recipe.yaml", "--resume", "auto")
    began = time.monotonic()
    assert run(command, whole).status == 0
    longest = time.monotonic() - began
    draw, kills, parts = random.Random(mode), 0, write(TRAINING, **STATEFUL, mode=mode)
    while True:
        with Job(command, parts) as job:
            job.until(lambda j=job: ranks(j) == 2, "ranks")
            ends = time.monotonic() + (draw.uniform(0, longest) if kills < KILLS_AT_RANDOM else START_AND_RUN)
            while job.launcher.poll() is None and time.monotonic() < ends:
                time.sleep(0.02)
            if job.launcher.poll() is None:
                kill(job.rank(draw.randrange(2)))
                job.until(lambda j=job: not j.processes(), "end of all processes", seconds=SECONDS_TO_STOP)
                kills += 1
                continue
            assert job.finish().status == 0, job.finish()
        assert_same_numbers(parts, whole)
        if kills >= KILLS_AT_RANDOM:
            return
        parts = write(TRAINING, **STATEFUL, mode=mode)


def ranks(job: Job) -> int:
    """How many ranks live."""
    found = 0
    for rank in (0, 1):
        with suppress(ValueError):
            job.rank(rank)
            found += 1
    return found


def first_checkpoint(job: Job) -> None:
    job.until(lambda: newest(job.folder) > 0 or job.launcher.poll() is not None, "checkpoint")
    assert job.launcher.poll() is None, job.finish()


@MODES
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_saves_the_state_and_ends_the_run(write, number, mode):
    folder = write(TRAINING, **{**STATEFUL, "mode": mode, "epoch_size": 999})
    with Job(python(TRAIN, "-c", "recipe.yaml"), folder) as job:
        first_checkpoint(job)
        os.kill(job.launcher.pid, number)
        sent = time.monotonic()
        finished = job.finish()
    assert time.monotonic() - sent < SECONDS_TO_STOP
    assert finished.status == 130, finished
    assert "stopping after this step; Ctrl-C again stops at once\n" in finished.err
    assert finished.err.endswith("the state is saved: continue with --resume auto\n"), finished
    assert "Traceback" not in finished.err


def test_a_second_ctrl_c_stops_at_once(write):
    folder = write(TRAINING, **{**STATEFUL, "epoch_size": 999, "image_resize": 224, "batch_size": 24})
    options = ["--gradient_accumulation_steps", "1", "--model", "mnasnet_140"]
    with Job(python(TRAIN, "-c", "recipe.yaml", *options), folder) as job:
        first_checkpoint(job)
        os.kill(job.launcher.pid, signal.SIGINT)
        time.sleep(0.3)
        os.kill(job.launcher.pid, signal.SIGINT)
        finished = job.finish(seconds=SECONDS_TO_STOP)
    assert finished.status == 130
    assert finished.err.endswith("stopped at once by a second Ctrl-C\n"), finished


@MODES
def test_a_signal_to_mpirun_saves_the_state_and_ends_all_ranks(write, mode):
    folder = write(TRAINING, **{**STATEFUL, "mode": mode, "epoch_size": 999})
    with Job(LAUNCH["mpirun"](2, TRAIN, "-c", "recipe.yaml"), folder) as job:
        first_checkpoint(job)
        os.kill(job.launcher.pid, signal.SIGUSR1)
        job.until(lambda: not job.processes(), "end of all processes", seconds=SECONDS_TO_STOP)
        finished = job.finish()
    assert finished.status == 130, finished
    assert finished.err.count("the state is saved: continue with --resume auto\n") == 1, finished
    saved = read_checkpoint(folder / "ckpt" / f"{MODEL}_latest.ckpt").metadata["progress"]
    again = run(
        LAUNCH["mpirun"](
            2, TRAIN, "-c", "recipe.yaml", "--resume", "auto", "--epoch_size", saved["epoch"] + 1
        ),
        folder,
    )
    assert again.status == 0, again


def test_a_full_disk_is_named_and_leaves_the_checkpoints_before(write):
    folder = write(TRAINING, **{**STATEFUL, "epoch_size": 999})
    full = folder / "ckpt"
    full.mkdir()
    size = 40_000_000
    if os.system(f"mount -t tmpfs -o size={size} none {full} 2>/dev/null") != 0:
        pytest.skip("a file system of a small size needs the right to mount one")
    try:
        finished = run(python(TRAIN, "-c", "recipe.yaml", "--keep_checkpoint_max", "99"), folder)
        assert finished.status == 2, finished
        (line,) = [line for line in finished.err.splitlines() if line.startswith("error: ")]
        assert "the checkpoint cannot be written (No space left on device): free or change the folder" in line
        assert "Traceback" not in finished.err
        files = sorted(full.glob("*.ckpt"))
        assert files
        for path in files:
            assert read_checkpoint(path).has_checksum
        assert not [path for path in full.iterdir() if path.name.startswith(".")]
    finally:
        os.system(f"umount {full}")
