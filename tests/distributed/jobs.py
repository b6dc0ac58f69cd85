"""Real jobs of several processes: start one, look into it, and leave nothing of it behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent
LAUNCHERS = ("OMPI_", "PMI", "PRTE_", "MPI_", "MS_", "RANK_", "DEVICE_ID")
SETTINGS = ("OMP_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "PYTHONPATH")
MARK = "TEST_JOB"
START_AND_RUN = 150  # seconds, on a machine that has other things to do


@dataclass(frozen=True, kw_only=True)
class Finished:
    """How a job ended."""

    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"status {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Job:
    """A command with all the processes that descend from it, which carry a mark in their environment.

    Leaving the context kills them all. Process groups would not do: launchers give each rank its own.
    """

    def __init__(self, command: list[str], folder: Path, **variables: str) -> None:
        self.folder = folder
        self.began = time.time()
        self.mark = f"{MARK}={uuid.uuid4()}"
        environment = {
            k: v for k, v in os.environ.items() if k not in SETTINGS and not k.startswith(LAUNCHERS)
        }
        # msrun starts whichever python comes first.
        first = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment |= {"PYTHONPATH": str(ROOT), "PATH": first}
        environment |= {MARK: self.mark.removeprefix(f"{MARK}=")} | variables
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            self.launcher = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *_: object) -> None:
        deadline = time.monotonic() + 20
        while processes := self.processes():
            for process in processes:
                kill(process)
            if self.launcher.poll() is not None and time.monotonic() > deadline:
                raise RuntimeError(f"cannot kill {processes}")
            time.sleep(0.05)
        self.launcher.wait(20)

    def processes(self) -> dict[int, list[str]]:
        """The job's processes that live, each with its environment; a dead one's is empty."""
        environments = {int(entry.name): _environment(entry) for entry in Path("/proc").glob("[0-9]*")}
        return {process: env for process, env in environments.items() if self.mark in env}

    def rank(self, rank: int) -> int:
        """The process of a rank."""
        names = {f"OMPI_COMM_WORLD_RANK={rank}", f"RANK_ID={rank}"}
        (process,) = (
            process
            for process, env in self.processes().items()
            if names.intersection(env) and "MS_ROLE=MS_SCHED" not in env and _is_python(process)
        )
        return process

    def until(self, condition: Callable[[], bool], what: str, *, seconds: float = START_AND_RUN) -> float:
        """Wait for something, and say how many seconds it took."""
        start = time.monotonic()
        while not condition():
            waited = time.monotonic() - start
            assert waited < seconds, f"no {what} within {seconds} s\n{self._said()}"
            time.sleep(0.1)
        return time.monotonic() - start

    def finish(self, *, seconds: float = START_AND_RUN) -> Finished:
        """Wait for the launcher's end."""
        self.until(lambda: self.launcher.poll() is not None, "end", seconds=seconds)
        return self._said()

    def _said(self) -> Finished:
        out, err = ((self.folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
        return Finished(status=self.launcher.poll() or 0, out=out, err=err)


def _environment(entry: Path) -> list[str]:
    try:
        return (entry / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _is_python(process: int) -> bool:
    return Path(f"/proc/{process}/exe").resolve() == Path(sys.executable).resolve()


def kill(process: int) -> None:
    """End a process as a crash or the kernel would, if it is still there."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def at_once(**jobs: tuple[list[str], Path]) -> Iterator[dict[str, Job]]:
    """Start jobs, each a command and its folder, at the same time; most of their first seconds they wait."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Job(*job)) for name, job in jobs.items()}


def run(command: list[str], folder: Path, *, seconds: float = START_AND_RUN, **variables: str) -> Finished:
    """Run a job to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    with Job(command, folder, **variables) as job:
        return job.finish(seconds=seconds)


def python(script: Path, *arguments: object) -> list[str]:
    """The command that runs a script alone."""
    return [sys.executable, str(script), *map(str, arguments)]


def mpirun(ranks: int, script: Path, *arguments: object) -> list[str]:
    """The command that runs a script on several ranks under Open MPI."""
    command = [_launcher("mpirun"), "--allow-run-as-root", "--oversubscribe", "-n", str(ranks)]
    return command + python(script, *arguments)


def msrun(
    ranks: int, script: Path, *arguments: object, nodes: Mapping[str, object] | None = None
) -> list[str]:
    """The command that runs a script on several ranks under MindSpore's launcher, by default on one host."""
    options = {
        "worker_num": ranks,
        "local_worker_num": ranks,
        "master_port": free_port(),
        "join": True,
        "log_dir": "log",
    }
    flags = [f"--{name}={value}" for name, value in {**options, **(nodes or {})}.items()]
    return [_launcher("msrun"), *flags, str(script), *map(str, arguments)]


LAUNCH = {"mpirun": mpirun, "msrun": msrun}


def free_port() -> int:
    """A port that no process listens at."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def _launcher(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    path = str(beside) if beside.is_file() else shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path
