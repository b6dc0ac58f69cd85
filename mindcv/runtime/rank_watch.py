"""A small process beside each rank, which reports the end of a rank that cannot report it itself.

A rank that the kernel kills, that crashes in native code, or that a library ends leaves without a word, and
the others wait for a rank that a signal has stopped. The watch says so in a line, on the rank's standard
error, and ends what the launcher leaves running. It is in the rank's process group, so that a launcher that
ends the rank ends or warns the watch, too, which is then silent.

Beside msrun's scheduler it ends the scheduler when all ranks have gone: MindSpore waits up to ten minutes
for ranks that never joined.

The file is run by its path, and imports nothing but the standard library, to start at once.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["Watch"]

STOPPED_SECONDS = 10  # MindSpore's collectives on a CPU fail after 30
SECONDS_TO_END = 3  # what a launcher takes to end the ranks after one has failed
SECONDS_TO_UNREGISTER = 6  # what the scheduler may take to end itself after the last rank
INTERVAL = 0.5
LIBRARIES = ("LD_LIBRARY_PATH",)  # which Python itself may need
OURS = b"x"  # the rank reports its end itself


class Watch:
    """The watch beside this process.

    Args:
        rank: This process; None for msrun's scheduler.
        job: Entries of the environment that all processes of the job share.
    """

    def __init__(self, rank: int | None, job: Sequence[str]) -> None:
        number = "" if rank is None else str(rank)
        processes = [str(os.getpid()), str(os.getppid())]
        self._watch = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, *processes, number, *job],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={name: os.environ[name] for name in LIBRARIES if name in os.environ},  # it is not a rank
        )

    def dismiss(self) -> None:
        """Say that this process reports its end itself, or has nothing to report."""
        if self._watch.stdin is not None:
            with suppress(OSError, ValueError):
                self._watch.stdin.write(OURS)
                self._watch.stdin.close()


def watch_rank(process: int, rank: str, others: "Others") -> None:
    """Wait for the end of a rank, and report it where nobody else does.

    Args:
        process: The rank's process, which is the parent of this one.
        rank: Its number.
        others: The other processes of the job on this host.
    """
    warned = warnings()
    stopped = 0.0
    for _ in while_alive(process):
        if dismissed():
            return
        stopped = stopped + INTERVAL if state(process)[0] == "T" else 0.0
        if stopped >= STOPPED_SECONDS and not warned:
            say(rank, f"stopped by a signal for {STOPPED_SECONDS} s, and the others wait: it is killed")
            os.kill(process, signal.SIGKILL)
            others.end()
            return
    status = state(process)[1]
    if dismissed() or warned:
        return
    say(rank, cause(status))
    others.end()


def watch_scheduler(process: int, others: "Others") -> None:
    """End msrun's scheduler when all ranks of this host have gone, and it waits for them."""
    warnings()
    seen, gone = False, 0.0
    for _ in while_alive(process):
        alive = bool(list(others))
        seen, gone = seen or alive, 0.0 if alive or not seen else gone + INTERVAL
        if gone >= SECONDS_TO_UNREGISTER:
            os.kill(process, signal.SIGKILL)
            return


class Others:
    """The other processes that the launcher started for a job on this host.

    Args:
        process: The process that is watched.
        launcher: The process that started it.
        job: Entries of the environment that all of them share; without any, nobody is known.
    """

    def __init__(self, process: int, launcher: int, job: Sequence[str]) -> None:
        self._process = process
        self._launcher = launcher
        self._job = {entry.encode() for entry in job}

    def __iter__(self) -> Iterator[int]:
        for entry in Path("/proc").glob("[0-9]*"):
            number = int(entry.name)
            if self._job and number != self._process and parent(number) == self._launcher:
                with suppress(OSError):
                    if self._job <= set((entry / "environ").read_bytes().split(b"\0")):
                        yield number

    def end(self) -> None:
        """End them, unless the launcher does."""
        time.sleep(SECONDS_TO_END)
        for process in self:
            with suppress(OSError):
                # A launcher gives each its own group: its watch ends with it, without a message.
                leads = os.getpgid(process) == process
                (os.killpg if leads else os.kill)(process, signal.SIGKILL)


def cause(status: int | None) -> str:
    """Describe how a process has ended.

    Args:
        status: As `os.wait` gives it; None if the launcher was faster to ask for it.
    """
    if status is None:
        return "ended without a message: was it killed, is there enough memory?"
    if os.WIFEXITED(status):
        return f"ended with status {os.WEXITSTATUS(status)} and without a message before the run was over"
    number = os.WTERMSIG(status)
    what = "is there enough memory?" if number == signal.SIGKILL else "native code has crashed"
    with suppress(ValueError):
        return f"killed by {signal.Signals(number).name}: {what}"
    return f"killed by signal {number}: {what}"


def while_alive(process: int) -> Iterator[None]:
    """Yield at intervals, and at once when there is something to read, until the parent process has ended."""
    ends = [sys.stdin]
    with suppress(OSError, AttributeError):  # Linux before 5.3
        ends.append(os.pidfd_open(process))
    while os.getppid() == process and not select.select(ends[1:], [], [], 0)[0]:
        yield
        select.select(ends, [], [], INTERVAL)


def dismissed() -> bool:
    """Return whether the rank has written to this process."""
    return bool(select.select([0], [], [], 0)[0]) and os.read(0, 1) == OURS


def state(process: int) -> tuple[str, int | None]:
    """Return a process's state (R, S, T, Z, ...) and, if it has ended and nobody asked yet, its status."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", None
    values = fields.rpartition(")")[2].split()
    return values[0], int(values[-1]) if values[0] == "Z" else None


def parent(process: int) -> int:
    """Return the process that started another one; 0 if that has gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(fields.rpartition(")")[2].split()[1])


def warnings() -> list[int]:
    """Return a list that receives the signals by which a launcher ends a group of processes."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda number, _: received.append(number))
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    return received


def say(rank: str, text: str) -> None:
    """Print a line about the rank, the last one: Open MPI waits until nobody can write any more."""
    with suppress(OSError):
        os.write(2, f"rank {rank}: error: {text}\n".encode())
        os.close(2)


if __name__ == "__main__":
    watched, launcher, number, *entries = sys.argv[1:]
    others = Others(int(watched), int(launcher), entries)
    if number:
        watch_rank(int(watched), number, others)
    else:
        watch_scheduler(int(watched), others)
