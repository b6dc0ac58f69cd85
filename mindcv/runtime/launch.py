"""Detect how this process was started: by `python` alone, by `mpirun` or by `msrun`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mindcv.errors import ConfigError

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
        job: Entries of the environment that belong to this job alone; empty if the launcher sets none.
    """

    by: Literal["python", "mpirun", "msrun"]
    rank: int = 0
    world_size: int = 1
    local_size: int = 1
    is_scheduler: bool = False
    job: tuple[str, ...] = ()


def detect_launch(environ: Mapping[str, str] = os.environ) -> Launch:
    """Read from the environment how this process was started.

    msrun sets MindSpore's own variables, Open MPI's mpirun those named OMPI_COMM_WORLD, and the mpirun of
    MPICH and Intel MPI those named PMI.

    Raises:
        ConfigError: If these variables contradict each other.
    """
    if "MS_ROLE" in environ:
        number = "MS_NODE_ID" if environ.get("MS_NODE_ID") else "RANK_ID"
        rank, world_size = _count(environ, number, default=0), _count(environ, "MS_WORKER_NUM")
        is_scheduler = environ["MS_ROLE"] == "MS_SCHED"
        if rank >= world_size and not is_scheduler:
            raise ConfigError(f"{number}={rank} is not below MS_WORKER_NUM={world_size}: {_REMEDY}")
        return Launch(
            by="msrun",
            rank=rank,
            world_size=world_size,
            is_scheduler=is_scheduler,
            job=_entries(environ, "MS_SCHED_HOST", "MS_SCHED_PORT"),
        )
    for prefix, local in (("OMPI_COMM_WORLD", "OMPI_COMM_WORLD_LOCAL_SIZE"), ("PMI", "MPI_LOCALNRANKS")):
        if f"{prefix}_SIZE" in environ:
            world_size, rank = _count(environ, f"{prefix}_SIZE"), _count(environ, f"{prefix}_RANK")
            if rank >= world_size:
                raise ConfigError(f"{prefix}_RANK={rank} is not below {prefix}_SIZE={world_size}: {_REMEDY}")
            local_size = _count(environ, local, default=world_size)
            return Launch(
                by="mpirun",
                rank=rank,
                world_size=world_size,
                local_size=local_size,
                job=_entries(environ, "PMIX_NAMESPACE"),
            )
    return Launch(by="python")


LONGEST = 9  # digits of a count

_REMEDY = "start the program by mpirun or msrun, or remove the launcher's variables from the environment"


def _entries(environ: Mapping[str, str], *names: str) -> tuple[str, ...]:
    return tuple(f"{name}={environ[name]}" for name in names if name in environ)


def _count(environ: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environ.get(name, "" if default is None else str(default))
    if not text.isdecimal() or len(text) > LONGEST:
        raise ConfigError(f"{name}={text or 'missing'} is not an integer of 0 or more: {_REMEDY}")
    return int(text)
