"""Processes that are killed, or whose disk is full, at a chosen call that changes files: see boundaries.c."""

import ctypes
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mindcv.engine.resume import read_state
from mindcv.errors import UserError
from tests.support.paths import ROOT
from tests.support.processes import bare_environment

__all__ = [
    "COUNT",
    "FULL",
    "FULL_ONCE",
    "HALF_WAY",
    "KILL",
    "Ended",
    "attempt",
    "build",
    "damaged",
    "faults",
    "trials",
]

COUNT, KILL, HALF_WAY, FULL, FULL_ONCE = range(5)
LOCK = ".run.lock"
LONGEST = 120  # seconds that a process may take
EXTRAS = ("history.csv", "curve.png", "metrics.jsonl", "config.yaml")  # what a run can do without


def build(folder: Path) -> Path:
    """Compile the library that counts, or skip the test where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("a C compiler is needed to end a process at a chosen call")
    library, source = folder / "boundaries.so", Path(__file__).with_name("boundaries.c")
    options = ["-O1", "-Wall", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, "-o", library, source, "-ldl"], check=True)
    return library


def faults(library: Path, driver: Path, *arguments: object, seconds: int = 3000) -> list[str]:
    """Start a program that calls `trials`, and return what it prints last: what went wrong."""
    done = subprocess.run(
        [sys.executable, str(driver), *map(str, arguments)],
        cwd=ROOT,
        env=bare_environment() | {"LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@dataclass
class Ended:
    """How a process ended.

    Args:
        how: ``finished``, ``failed``, ``killed`` or ``hangs``.
        calls: Calls that changed files.
        failed: The path of the first call that failed; empty if none did.
        error: The error with which it failed.
        warnings: What it has warned of.
    """

    how: str
    calls: int = 0
    failed: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()


def trials(
    work: Callable[[Path], object],
    content: Callable[[Path], dict[str, str]],
    wrong_in: Callable[[Path], list[str]],
    root: Path,
    mode: int,
    *,
    before: Callable[[Path], object] = lambda folder: folder.mkdir(),
    chosen: Callable[[int], Iterable[int]] = lambda calls: range(1, calls + 1),
) -> tuple[int, list[str]]:
    """Disturb some work at each of its calls that change files, let it run again, and compare the end.

    Args:
        work: What to do in a folder; called again, it resumes or starts over.
        content: The files in the folder, and what counts of their content.
        wrong_in: What is wrong in a folder that disturbed work has left.
        root: A folder for all this.
        mode: KILL, HALF_WAY, FULL (from a call on) or FULL_ONCE.
        before: Makes the folder as it is at the beginning.
        chosen: The calls to try, of all calls; by default each one.

    Returns:
        The number of calls, and what went wrong: nothing if all is well.
    """
    folder, wrong = root / "work", []
    resumed: set[str] = set()  # it resumes from the files only, so that equal files need one trial
    before(folder)
    undisturbed = attempt(work, folder)
    assert undisturbed.how == "finished", undisturbed.error
    expected = content(folder)
    for at in chosen(undisturbed.calls):
        shutil.rmtree(folder)
        before(folder)
        ended = attempt(work, folder, mode, at)
        if mode in (KILL, HALF_WAY):
            problems = [] if ended.how == "killed" else [f"not killed but {ended}"]
        else:
            problems = _wrong_with_full_disk(folder, ended, mode)
        if ended.how == "finished" and _checkpoints(content(folder)) != _checkpoints(expected):
            problems.append(f"other checkpoints than without a disturbance: {ended}")
        wrong += [f"{at}: {text}" for text in (*problems, *wrong_in(folder))]
        print(f"{at} of {undisturbed.calls} calls, {len(wrong)} wrong", file=sys.stderr, flush=True)
        left = _visible(folder)
        if left in resumed:
            continue
        resumed.add(left)
        again = attempt(work, folder)
        if again.how != "finished":
            wrong.append(f"{at}: not finished again: {again}")
        elif content(folder) != expected:
            wrong.append(f"{at}: ends with {content(folder)}, not {expected}"[:2000])
    return undisturbed.calls, wrong


def _wrong_with_full_disk(folder: Path, ended: Ended, mode: int) -> list[str]:
    """Say what is wrong after work whose disk was full: each failed file is a line, and leaves nothing."""
    wrong = []
    lines = [text for text in (ended.error, *ended.warnings) if "No space left on device" in text]
    files = {text.split(" cannot be written")[0] for text in lines}
    if any(name in ended.failed for name in EXTRAS) and mode == FULL_ONCE and ended.how == "failed":
        wrong.append("it ends because of a file that it can do without")
    if ended.how == "failed" and not (ended.error.startswith("UserError: ") and ended.error in lines):
        wrong.append("it ends, and does not say why")
    if (
        bool(ended.failed) != bool(lines)
        or len(lines) != len(files)
        or (mode == FULL_ONCE and len(lines) > 1)
    ):
        wrong.append("it does not say once what has failed")
    hidden = [path.name for path in folder.iterdir() if path.name.startswith(".") and path.name != LOCK]
    return [f"{text}: {ended}" for text in (*wrong, *(f"it leaves {name}" for name in hidden))]


def _checkpoints(content: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in content.items() if name.endswith(".ckpt")}


def _visible(folder: Path) -> str:
    """The files, and names of what else is there: what a killed process did not complete is never read."""
    found = {}
    for path in folder.iterdir():
        if path.name != LOCK:
            name = path.name[:-8] if path.is_dir() else path.name
            found[name] = "" if path.is_dir() else path.read_bytes().hex()
    return json.dumps(found, sort_keys=True)


class _Warnings(logging.Handler):
    """Keeps the warnings of this process."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def attempt(
    work: Callable[[Path], object], folder: Path, mode: int = COUNT, at: int = 0, *, seconds: float = 0
) -> Ended:
    """Do some work in a forked process.

    Args:
        work: What to do in the folder.
        folder: The calls below it are counted.
        mode: What happens at the chosen call, see `trials`.
        at: The number of the call, from 1.
        seconds: When to kill the process from outside; 0 for never.
    """
    report = folder.with_name(f"{folder.name}.ended")
    report.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            _work_in_child(work, folder, mode, at, report)
        finally:
            os._exit(0)
    status, in_time = _status(child, seconds or LONGEST)
    if not os.WIFSIGNALED(status):
        return Ended(**json.loads(report.read_text()))
    assert os.WTERMSIG(status) == signal.SIGKILL
    return Ended("killed" if in_time or seconds else "hangs")


def _status(child: int, seconds: float) -> tuple[int, bool]:
    """Return the status of a process, and whether it ended within some seconds; else it is killed."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, True
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1], False


def _work_in_child(work: Callable[[Path], object], folder: Path, mode: int, at: int, report: Path) -> None:
    kept = _Warnings()
    logging.getLogger("mindcv").addHandler(kept)
    library = ctypes.CDLL(os.environ["LD_PRELOAD"])
    library.boundary_failed.restype, library.boundary_calls.restype = ctypes.c_char_p, ctypes.c_long
    library.boundary_arm(str(folder).encode(), ctypes.c_long(at), mode)
    how, error = "finished", ""
    try:
        work(folder)
    except BaseException as failure:
        how, error = "failed", f"{type(failure).__name__}: {failure}"
    library_says = {"calls": library.boundary_calls(), "failed": library.boundary_failed().decode()}
    report.write_text(json.dumps({"how": how, "error": error, "warnings": kept.texts, **library_says}))


def damaged(folder: Path) -> list[str]:
    """Say what is wrong with the files that an ended process left: each checkpoint must be intact."""
    wrong = []
    for path in folder.glob("*.ckpt"):
        try:
            read_state(path)
        except UserError as error:
            wrong.append(str(error))
    return wrong
