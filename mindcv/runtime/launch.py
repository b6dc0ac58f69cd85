"""Detect how this process was started: by `python` alone, by `mpirun` or by `msrun`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Launch", "detect_launch"]


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a process was started.

    Args:
        by: The program that started it.
        rank: This process, from 0.
        world_size: Number of processes that were started together.
        local_size: How many of them run on this host.
        is_scheduler: Whether this is not one of them, but the process through which they find each other:
            msrun runs the program once more for it.
    """

    by: Literal["python", "mpirun", "msrun"]
    rank: int = 0
    world_size: int = 1
    local_size: int = 1
    is_scheduler: bool = False


def detect_launch(environ: Mapping[str, str] = os.environ) -> Launch:
    """Read from the environment how this process was started.

    msrun sets MindSpore's own variables, Open MPI's mpirun those named OMPI_COMM_WORLD, and the mpirun of
    MPICH and Intel MPI those named PMI.
    """
    if "MS_ROLE" in environ:
        return Launch(
            by="msrun",
            rank=int(environ.get("MS_NODE_ID") or environ.get("RANK_ID") or 0),
            world_size=int(environ["MS_WORKER_NUM"]),
            is_scheduler=environ["MS_ROLE"] == "MS_SCHED",
        )
    for prefix, local in (("OMPI_COMM_WORLD", "OMPI_COMM_WORLD_LOCAL_SIZE"), ("PMI", "MPI_LOCALNRANKS")):
        if f"{prefix}_SIZE" in environ:
            rank, world_size = int(environ[f"{prefix}_RANK"]), int(environ[f"{prefix}_SIZE"])
            return Launch(
                by="mpirun", rank=rank, world_size=world_size, local_size=int(environ.get(local, world_size))
            )
    return Launch(by="python")
