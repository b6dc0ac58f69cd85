"""Startup of a program: device, execution mode, cooperating processes, and seed."""

import logging
import os
from dataclasses import dataclass

import numpy as np

from mindcv.errors import UserError, one_line
from mindcv.runtime.agreement import Part, compare_ranks
from mindcv.runtime.cluster import join_cluster, serve_cluster
from mindcv.runtime.collectives import gather_bytes, sum_over_ranks
from mindcv.runtime.device import seed_everything, select_device, supports_sink
from mindcv.runtime.launch import detect_launch

__all__ = ["Runtime", "start"]

logger = logging.getLogger("mindcv")

COMPILE_CACHE = "MS_COMPILER_CACHE_ENABLE"


class _OneLine(logging.Formatter):
    """Log messages as lines that are safe and short for a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the name is logging's
        return one_line(super().formatMessage(record))


class _Once(logging.Filter):
    """Drop a record whose attribute ``once`` an earlier one had: a remark about all files is made once."""

    def __init__(self) -> None:
        super().__init__()
        self.topics: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        topic = getattr(record, "once", None)
        is_new = topic not in self.topics
        if topic is not None:
            self.topics.add(topic)
        return is_new


def log_to_stderr(*, speaking: bool) -> None:
    """Print this project's log as plain lines; all ranks but one print errors only."""
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_OneLine())
        handler.addFilter(_Once())
        logger.addHandler(handler)
    logger.setLevel(logging.INFO if speaking else logging.ERROR)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One of the processes that train together.

    Args:
        device: CPU, GPU or Ascend.
        rank: This process, from 0.
        world_size: Number of processes, each with a device of its own.
    """

    device: str
    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that writes files and reports."""
        return self.rank == 0

    def sum_over_ranks(self, values: np.ndarray) -> np.ndarray:
        """Add up a float64 array of shape [n] over all processes."""
        return sum_over_ranks(values) if self.world_size > 1 else values

    def compare_ranks(self, *parts: Part) -> None:
        """Check that parts are equal on all processes, see `compare_ranks`."""
        if self.world_size > 1:
            compare_ranks(parts, self.rank, gather_bytes)

    @property
    def supports_sink(self) -> bool:
        """Whether the device can fetch its own data."""
        return supports_sink(self.device)


def start(*, device_target: str = "auto", mode: int = 0, distribute: bool = False, seed: int = 42) -> Runtime:
    """Select device and mode, connect to the other processes, and set the seed.

    Args:
        device_target: See `select_device`.
        mode: 0 for graph mode, 1 for PyNative mode.
        distribute: Train together with the processes that mpirun or msrun has started.
        seed: Seed of this process; the same on all of them, so that they build the same network.

    Raises:
        UserError: If the device is missing, if several processes were started without `distribute`, or if
            they cannot connect.
    """
    launch = detect_launch()
    if launch.world_size > 1 and not distribute:
        raise UserError(
            f"{launch.by} started {launch.world_size} processes, but distribute=False: set distribute to "
            "True, or start one process"
        )
    device = select_device(device_target, mode)
    if launch.is_scheduler:
        serve_cluster()
    rank, world_size = 0, 1
    if launch.world_size > 1:
        rank, world_size = join_cluster(launch, device)
    elif distribute:
        logger.warning("distribute=True, but one process was started: one device is used")
    log_to_stderr(speaking=rank == 0)
    if device == "CPU" and os.environ.get(COMPILE_CACHE) == "1":
        # Measured with 2.10 and the kernels of this project: the loss differs from the second step on.
        logger.warning(
            "%s=1: on CPU, a graph from MindSpore's cache can train differently from a compiled one, without "
            "a message: unset it",
            COMPILE_CACHE,
        )
    seed_everything(seed)
    return Runtime(device=device, rank=rank, world_size=world_size)
