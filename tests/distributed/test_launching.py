"""The programs started by python, mpirun and msrun: the same words and scores, and mistakes said once."""

import csv

import mindspore as ms
import pytest
from distributed.jobs import LAUNCH, at_once, mpirun, python, run
from distributed.recipes import DIGITS, RECIPE, SCORE, TRAIN, TRAINING, VAL_IMAGES, VALIDATE

from mindcv.runtime.cluster import _address_for

# --- validate.py -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jobs(write, checkpoint):
    """validate.py on two ranks and on one."""
    two = mpirun(2, VALIDATE, "-c", "recipe.yaml"), write(RECIPE, ckpt_path=checkpoint)
    alone = python(VALIDATE, "-c", "recipe.yaml"), write(RECIPE, ckpt_path=checkpoint)
    with at_once(validate=two, alone=alone) as jobs:
        yield jobs


def test_validate_prints_once_on_two_ranks_what_it_prints_on_one(jobs):
    alone, two = jobs["alone"].finish(), jobs["validate"].finish()
    assert (alone.status, two.status, two.err) == (0, 0, "")
    assert two.out == alone.out
    top1, top5, _ = map(float, SCORE.fullmatch(two.out).groups())
    assert 0 < top1 < top5 < 1
    assert (top5 * VAL_IMAGES) == pytest.approx(round(top5 * VAL_IMAGES), abs=2e-3)


def test_distribute_under_plain_python_means_one_device_and_says_so(jobs):
    finished = jobs["alone"].finish()
    assert finished.status == 0
    assert finished.err == "distribute=True, but one process was started: one device is used\n"


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "ranks"), [("mpirun", 3), ("msrun", 2), ("msrun", 3)])
def test_validate_prints_the_same_however_it_is_started(jobs, write, checkpoint, launcher, ranks):
    folder = write(RECIPE, ckpt_path=checkpoint, mode=0)
    finished = run(LAUNCH[launcher](ranks, VALIDATE, "-c", "recipe.yaml"), folder)
    assert finished.status == 0, finished
    assert SCORE.findall(finished.out) == SCORE.findall(jobs["alone"].finish().out)


# --- mistakes that all ranks make --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--lerning_rate", "1"), "command line: unknown option 'lerning_rate'"),
        (
            ("--distribute", "False"),
            "mpirun started 2 processes, but distribute=False: set distribute to True, or start one "
            "process\n",
        ),
    ],
)
def test_a_mistake_of_all_ranks_is_one_line(write, options, said):
    finished = run(mpirun(2, TRAIN, "-c", "recipe.yaml", *options), write(TRAINING))
    assert finished.status == 2, finished
    assert finished.err.startswith(f"error: {said}"), finished
    assert finished.err.count("error:") == 1
    assert finished.out == ""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCH)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--lerning_rate", "1"), "error: command line: unknown option 'lerning_rate'"),
        (("--distribute", "False"), "error: {} started 2 processes, but distribute=False"),
        (("--data_dir", "nowhere"), "error: nowhere is not a folder"),
    ],
)
def test_a_mistake_of_all_ranks_is_said_once_whoever_started_them(write, launcher, options, said):
    finished = run(LAUNCH[launcher](2, TRAIN, "-c", "recipe.yaml", *options), write(TRAINING))
    assert finished.status != 0, finished
    assert (finished.out + finished.err).count(said.format(launcher)) == 1, finished
    assert "rank 1: error" not in finished.out + finished.err


# --- a whole training --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "mode"),
    [("mpirun", ms.GRAPH_MODE), ("mpirun", ms.PYNATIVE_MODE), ("msrun", ms.GRAPH_MODE)],
)
def test_two_ranks_learn_the_digits_as_one_does(tmp_path, launcher, mode):
    finished = run(LAUNCH[launcher](2, TRAIN, "-c", DIGITS, "--mode", mode), tmp_path, seconds=900)
    assert finished.status == 0, finished
    with (tmp_path / "ckpt/digits/history.csv").open(encoding="utf-8") as file:
        assert max(float(row["top1"]) for row in csv.DictReader(file)) >= 0.96


# --- where the ranks meet ----------------------------------------------------------------------------------


def test_ranks_on_one_host_meet_at_its_loopback():
    assert _address_for(["here"]) == _address_for(["here", "here", "here"]) == "127.0.0.1"


def test_ranks_on_two_hosts_meet_where_rank_0_would_send_from():
    assert _address_for(["here", "127.0.0.2"]) == "127.0.0.1"  # not 127.0.0.2, the other's own
    assert _address_for(["here", "here", "nowhere.invalid"]) == "here"
