"""Running a command-line program: error reports and exit, alone or as one of several processes."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from mindcv.errors import ConfigError, Stopped, UserError, printable
from mindcv.runtime.launch import Launch, detect_launch
from mindcv.runtime.output import OutputLost, guarded_output

__all__ = ["exit_with", "run_program"]

# Ranks often fail for the same reason at the same time. The others wait for rank 0 to report it: when it
# ends, the launcher ends them too.
SECONDS_AFTER_RANK_0 = 2


def run_program(main: Callable[[], None]) -> NoReturn:
    """Run a program from its command line to its end, and exit.

    A `UserError` becomes one line on standard error and its own status, usually 2; Ctrl-C or kill becomes
    status 130, whether the program stops there or has saved its state first; a reader of its output that
    ends early is status 141 without a word, and an output that cannot be written is status 1. One of several
    processes exits at once, without waiting for the others: if one fails, the launcher ends them all.

    Args:
        main: The program. It parses its command line first, and imports what needs MindSpore after that.
            It ends as soon as it cannot print, unless it calls `continue_without_output`.
    """
    launch = _launch()
    if launch.world_size == 1:
        # Once MindSpore has compiled a graph, it answers Ctrl-C by sending SIGTERM to itself.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with guarded_output() as output:
        status = _run(main, launch)
    status = status or output.status
    if launch.world_size == 1:
        raise SystemExit(status)
    if status == 0:
        from mindcv.runtime.cluster import leave_cluster  # it imports MindSpore, which parsing does not need

        leave_cluster(launch)
    # An ordinary exit could wait for the other ranks, which may be waiting for this one.
    os._exit(status)


def _run(main: Callable[[], None], launch: Launch) -> int:
    """Run a program, report how it failed, and return its status."""
    try:
        detect_launch()
        main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OutputLost:
        return 0  # the output has its own status
    except UserError as error:
        return _report_mistake(error, launch)
    except KeyboardInterrupt:
        return _report("stopped by Ctrl-C or kill", 130, launch)
    except Stopped as stopped:
        return _report(str(stopped), 130, launch, by_all=False)
    except Exception:
        return _report(traceback.format_exc(), 1, launch)
    return 0


def exit_with(error: UserError) -> NoReturn:
    """Report a user's mistake and exit with its status."""
    raise SystemExit(_report_mistake(error, _launch()))


def _launch() -> Launch:
    """How this process was started; a process on its own where the launcher's variables are damaged."""
    try:
        return detect_launch()
    except ConfigError:
        return Launch(by="python")


def _report_mistake(error: UserError, launch: Launch) -> int:
    return _report(f"error: {error}", error.status, launch, by_all=not isinstance(error, ConfigError))


def _report(text: str, status: int, launch: Launch, *, by_all: bool = True) -> int:
    """Print a text on standard error, from every rank or only from rank 0, and return the status."""
    if launch.rank > 0:
        time.sleep(SECONDS_AFTER_RANK_0)
        text = f"rank {launch.rank}: {text}"
    if by_all or launch.rank == 0:
        print(*map(printable, text.splitlines()), sep="\n", file=sys.stderr)
    return status
