"""The process beside a rank: when it says something, and whom it ends."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mindcv.runtime import rank_watch

RANK = (
    "import os, signal, sys, time; from rank_watch import Watch\n"
    "watch = Watch({rank}, ['SOME_JOB={job}'])\n"
    "print(flush=True)\n"
    "{then}"
)
SECONDS = 20


@contextmanager
def started(then: str, rank: int | None = 3, job: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process with a watch, in a group of its own, and by default in a job of its own."""
    job = job or str(uuid.uuid4())
    process = subprocess.Popen(
        [sys.executable, "-c", RANK.format(rank=rank, job=job, then=then)],
        env={**os.environ, "SOME_JOB": job, "PYTHONPATH": str(Path(rank_watch.__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_the_watch(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1)


def what_is_said(process: subprocess.Popen[str]) -> str:
    """Read standard error until both processes have closed it; nobody asks for the status before."""
    assert process.stderr is not None
    return process.stderr.read()


WAIT = "time.sleep(60)"


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("os._exit(3)", "ended with status 3 and without a message before the run was over"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL: is there enough memory?"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV: native code has crashed"),
        pytest.param(
            "os.kill(os.getpid(), 40)", "killed by signal 40: native code has crashed", marks=pytest.mark.slow
        ),
    ],
)
def test_the_end_of_a_rank_is_said_with_its_status(then, said):
    with started(then) as process:
        assert what_is_said(process) == f"rank 3: error: {said}\n"


def test_a_rank_that_reports_its_end_is_left_alone():
    with started("watch.dismiss(); os._exit(3)") as process:
        assert what_is_said(process) == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_a_launcher_that_ends_the_group_of_a_rank_knows_why(number):
    with started(WAIT) as process:
        wait_for_the_watch(process)
        os.killpg(process.pid, number)
        assert "rank 3" not in what_is_said(process)


def test_a_status_that_somebody_else_has_asked_for_is_not_guessed():
    assert rank_watch.cause(None) == "ended without a message: was it killed, is there enough memory?"


@pytest.mark.slow
def test_a_rank_that_is_stopped_for_long_is_killed_and_one_that_goes_on_is_not():
    with started(WAIT) as process:
        wait_for_the_watch(process)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(1)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGSTOP)
        before = time.monotonic()
        said = what_is_said(process)
        took = time.monotonic() - before
    assert said == "rank 3: error: stopped by a signal for 10 s, and the others wait: it is killed\n"
    assert rank_watch.STOPPED_SECONDS - 1 < took < SECONDS


def test_when_a_rank_vanishes_the_others_of_its_job_end_and_those_of_another_do_not():
    with (
        started(f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}", 0, "mine") as other,
        started(WAIT, 0, "another") as foreign,
        started("time.sleep(1); os._exit(0)", 1, "mine") as rank,
    ):
        assert what_is_said(rank).startswith("rank 1: error: ended with status 0")
        assert other.wait(SECONDS) == -signal.SIGKILL
        assert what_is_said(other) == ""  # its watch is in its group
        assert foreign.poll() is None


@pytest.mark.slow
def test_a_scheduler_whose_ranks_have_all_gone_ends():
    with started(WAIT, None, "scheduled") as scheduler:
        with started("watch.dismiss(); time.sleep(2)", 0, "scheduled") as rank:
            rank.wait(SECONDS)
            assert scheduler.poll() is None
        assert scheduler.wait(SECONDS) == -signal.SIGKILL
