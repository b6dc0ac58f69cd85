"""Running a command-line program: error reports and exit, alone or as one of several processes."""

import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from mindcv.errors import ConfigError, Stopped, UserError, printable
from mindcv.runtime.launch import Launch, detect_launch
from mindcv.runtime.output import OutputLost, guarded_output
from mindcv.runtime.rank_watch import Watch
from mindcv.runtime.system_errors import explain

__all__ = ["exit_with", "run_program"]

# Ranks often fail for the same reason at the same time. The others wait for rank 0 to report it: when it
# ends, the launcher ends them too. While programs start, ranks differ more.
SECONDS_AFTER_RANK_0 = 2
SECONDS_AFTER_RANK_0_STARTS = 6
FAILED_COLLECTIVE = re.compile(r"Launch kernel failed, name:\S*(AllGather|AllReduce|Broadcast)")
LONELY = (
    "error: another rank does not come to {}: it hangs, or is more than 30 s slower, or reports itself what "
    "has happened to it"
)
# What requirements.txt installs, by the names that are imported, as far as a program cannot start without it.
REQUIRED = ("mindspore", "numpy", "PIL", "safetensors", "tqdm", "yaml")
NOT_INSTALLED = (
    "the package '{}' is missing in this Python: activate the environment (source .venv/bin/activate), or "
    "pip install -r requirements.txt"
)
SECONDS_TO_SHOW = 0.3  # msrun shows what `tail` has read when it finds that a rank has failed


def run_program(main: Callable[[], None]) -> NoReturn:
    """Run a program from its command line to its end, and exit.

    A `UserError` becomes one line on standard error and its own status, usually 2, and an error of the system
    that `explain` knows, such as a full disk, does so too; Ctrl-C or kill becomes status 130, whether the
    program stops there or has saved its state first; a reader of its output that ends early is status 141
    without a word, and an output that cannot be written is status 1. One of several processes exits at once,
    without waiting for the others: if one fails, the launcher ends them all.

    Args:
        main: The program. It parses its command line first, and imports what needs MindSpore after that.
            It ends as soon as it cannot print, unless it calls `continue_without_output`.
    """
    launch = _launch()
    if launch.world_size == 1:
        # Once MindSpore has compiled a graph, it answers Ctrl-C by sending SIGTERM to itself.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _watched(launch), guarded_output() as output:
        status = _run(main, launch)
    status = status or output.status
    if launch.world_size == 1:
        raise SystemExit(status)
    if status == 0:
        from mindcv.runtime.cluster import leave_cluster  # it imports MindSpore, which parsing does not need

        leave_cluster(launch)
    if launch.by == "msrun":
        time.sleep(SECONDS_TO_SHOW)
    # An ordinary exit could wait for the other ranks, which may be waiting for this one.
    os._exit(status)


@contextmanager
def _watched(launch: Launch) -> Iterator[None]:
    """Let a rank's end inside the block be reported, even where it cannot do so itself."""
    watch = None
    if launch.world_size > 1:
        with suppress(OSError):
            watch = Watch(None if launch.is_scheduler else launch.rank, launch.job)
    try:
        yield
    finally:
        if watch is not None:
            watch.dismiss()


def _run(main: Callable[[], None], launch: Launch) -> int:
    """Run a program, report how it failed, and return its status."""
    try:
        detect_launch()
        _check_working_folder()
        main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OutputLost:
        return 0  # the output has its own status
    except UserError as error:
        return _report_mistake(error, launch)
    except ModuleNotFoundError as error:
        if error.name not in REQUIRED:
            return _report(traceback.format_exc(), 1, launch)
        return _report_mistake(UserError(NOT_INSTALLED.format(error.name)), launch)
    except KeyboardInterrupt:
        return _report("stopped by Ctrl-C or kill", 130, launch)
    except Stopped as stopped:
        return _report(str(stopped), 130, launch, by_all=False)
    except SystemExit as ended:
        return _report_exit(ended, launch)
    except OSError as error:
        explained = explain(error)
        if explained is None:
            return _report(traceback.format_exc(), 1, launch)
        return _report_mistake(UserError(explained), launch)
    except Exception as error:
        collective = _lonely_collective(error)
        if launch.world_size > 1 and collective:
            # Another rank that has failed reports it within its own time.
            return _report(LONELY.format(collective), 1, launch, seconds=SECONDS_AFTER_RANK_0_STARTS)
        return _report(traceback.format_exc(), 1, launch)
    return 0


def _check_working_folder() -> None:
    """Reject a working folder that has been deleted, without which MindSpore cannot be imported."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError("the working folder has been deleted: change to another one with cd") from None


def _lonely_collective(error: BaseException | None) -> str:
    """Return the collective in which an error or one of its causes says that other ranks do not answer."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # where memory is short, causes may form a circle
        seen.add(id(error))
        found = FAILED_COLLECTIVE.search(str(error))
        if found:
            return found[1]
        error = error.__cause__ or error.__context__
    return ""


class _Reported(SystemExit):
    """A program ends, and has said why."""


def exit_with(error: UserError) -> NoReturn:
    """Report a user's mistake and exit with its status."""
    raise _Reported(_report_mistake(error, _launch()))


def _launch() -> Launch:
    """How this process was started; a process on its own where the launcher's variables are damaged."""
    try:
        return detect_launch()
    except ConfigError:
        return Launch(by="python")


def _report_mistake(error: UserError, launch: Launch) -> int:
    starts = isinstance(error, ConfigError)
    seconds = SECONDS_AFTER_RANK_0_STARTS if starts else SECONDS_AFTER_RANK_0
    return _report(f"error: {error}", error.status, launch, seconds=seconds)


def _report_exit(ended: SystemExit, launch: Launch) -> int:
    """Report that a rank leaves the others, which would wait for it; a program alone, or a start, ends so."""
    if launch.world_size == 1 or isinstance(ended, _Reported) or not (ended.code or _has_joined()):
        raise ended
    status = ended.code if isinstance(ended.code, int) and ended.code else 1
    return _report(f"error: SystemExit({ended.code!r}) before the run was over", status, launch)


def _has_joined() -> bool:
    cluster = sys.modules.get("mindcv.runtime.cluster")
    return cluster is not None and cluster.has_joined()


def _report(
    text: str, status: int, launch: Launch, *, by_all: bool = True, seconds: float = SECONDS_AFTER_RANK_0
) -> int:
    """Print a text on standard error, and return the status.

    Args:
        text: What has happened.
        status: Exit status.
        launch: How this process was started.
        by_all: Whether a rank says so itself where rank 0 does not.
        seconds: How long a rank waits for rank 0 to say the same, and the launcher to end them all.
    """
    if launch.rank > 0:
        time.sleep(seconds)
        text = f"rank {launch.rank}: {text}"
    if by_all or launch.rank == 0:
        print(*map(printable, text.splitlines()), sep="\n", file=sys.stderr)
    return status
