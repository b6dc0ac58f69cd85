"""The frame of a command-line program: how it ends, alone or as one of several processes."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from mindcv.errors import Stopped, UserError
from mindcv.runtime.cluster import leave_cluster
from mindcv.runtime.launch import detect_launch

__all__ = ["run_program"]

# Ranks often fail for the same reason at the same time. The others wait for rank 0 to say it: when it ends,
# the launcher ends them too.
SECONDS_AFTER_RANK_0 = 2


def run_program(main: Callable[[], None]) -> NoReturn:
    """Run a program to its end, and exit.

    A `UserError` becomes one line on standard error and its own status, usually 2; Ctrl-C or kill becomes
    status 130, whether the program stops there or has saved its state first. One of several processes leaves
    at once, without waiting for the others: where one fails, the launcher ends them all.
    """
    launch = detect_launch()
    status = 0
    if launch.world_size == 1:
        # Once MindSpore has compiled a graph, it answers Ctrl-C by sending SIGTERM to itself.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except UserError as error:
        status = _report(f"error: {error}", error.status, launch.rank)
    except KeyboardInterrupt:
        status = _report("stopped by Ctrl-C or kill", 130, launch.rank)
    except Stopped as stopped:
        status = _report(str(stopped), 130, launch.rank, speaks=launch.rank == 0)
    except Exception:
        status = _report(traceback.format_exc(), 1, launch.rank)
    if launch.world_size == 1:
        raise SystemExit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    if status == 0:
        leave_cluster(launch)
    # An ordinary exit could wait for the other ranks, which may be waiting for this one.
    os._exit(status)


def _report(text: str, status: int, rank: int, *, speaks: bool = True) -> int:
    if rank > 0:
        time.sleep(SECONDS_AFTER_RANK_0)
        text = f"rank {rank}: {text}"
    if speaks:
        print(text, file=sys.stderr)
    return status
