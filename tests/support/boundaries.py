"""Processes that end, or whose disk is full, at a chosen call that changes files: see boundaries.c."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.processes import bare_environment

__all__ = ["COUNT", "FULL", "HALF_WAY", "KILL", "attempt", "build", "faults", "trials"]

COUNT, KILL, HALF_WAY, FULL = range(4)
LOCK = ".run.lock"


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
    """Start a program that calls `trials` and prints what they return; warnings of full disks are dropped."""
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


def trials(
    work: Callable[[Path], object],
    content: Callable[[Path], object],
    wrong_in: Callable[[Path], list[str]],
    root: Path,
    mode: int,
    *,
    before: Callable[[Path], object] = lambda folder: folder.mkdir(),
    chosen: Callable[[int], Iterable[int]] = lambda calls: range(1, calls + 1),
) -> tuple[int, list[str]]:
    """End some work at each of its calls that change files, let it run again, and compare the end.

    Args:
        work: What to do in a folder; after an end it goes on, or starts over.
        content: What is in the folder in the end.
        wrong_in: What is wrong in a folder that an ended process has left.
        root: A folder for all this.
        mode: KILL, HALF_WAY or FULL.
        before: Makes the folder as it is at the beginning.
        chosen: The calls to try, of all calls; by default each one.

    Returns:
        The number of calls, and what went wrong: nothing if all is well.
    """
    report, folder, wrong = root / "report", root / "work", []
    resumed: set[str] = set()  # the work goes on from the files only, so that equal files need one trial
    before(folder)
    assert attempt(work, folder, COUNT, 0, report) == "finished", report.read_text()
    expected, calls = content(folder), int(report.read_text())
    for at in chosen(calls):
        shutil.rmtree(folder)
        before(folder)
        how = attempt(work, folder, mode, at, report)
        said = "" if how == "killed" else report.read_text()
        if (mode == FULL) == (how == "killed") or (how == "failed" and not said.startswith("UserError: ")):
            wrong.append(f"{at}: {how}: {said}")
        wrong += [f"{at}: {text}" for text in wrong_in(folder)]
        left = _visible(folder)
        if left in resumed:
            continue
        resumed.add(left)
        if attempt(work, folder, COUNT, 0, report) != "finished":
            wrong.append(f"{at}: not finished again: {report.read_text()}")
        elif content(folder) != expected:
            wrong.append(f"{at}: ends with {content(folder)}, not {expected}"[:2000])
    return calls, wrong


def _visible(folder: Path) -> str:
    """The files, and names of what else is there: what a killed process did not complete is never read."""
    found = {}
    for path in folder.iterdir():
        if path.name != LOCK:
            name = path.name[:-8] if path.is_dir() else path.name
            found[name] = "" if path.is_dir() else path.read_bytes().hex()
    return json.dumps(found, sort_keys=True)


def attempt(work: Callable[[Path], object], folder: Path, mode: int, at: int, report: Path) -> str:
    """Do some work in a forked process that is armed, and return ``killed``, ``finished`` or ``failed``.

    Args:
        work: What to do in the folder.
        folder: The calls below it are counted.
        mode: KILL, HALF_WAY, FULL or COUNT.
        at: The number of the call, from 1.
        report: Receives the number of calls, or the error.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            library = ctypes.CDLL(os.environ["LD_PRELOAD"])
            library.boundary_arm(str(folder).encode(), ctypes.c_long(at), mode)
            work(folder)
            report.write_text(str(ctypes.c_long(library.boundary_calls()).value))
            status = 0
        except BaseException as error:
            report.write_text(f"{type(error).__name__}: {error}")
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        assert os.WTERMSIG(ended) == signal.SIGKILL
        return "killed"
    return "failed" if os.WEXITSTATUS(ended) else "finished"
