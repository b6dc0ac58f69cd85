"""Timing of an input pipeline alone, and the hosts that accelerators need for it."""

import resource
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

__all__ = ["EndToEnd", "HostNeeds", "InputPass", "InputTimes", "compare_steps", "time_input"]


@dataclass(frozen=True, kw_only=True)
class InputPass:
    """One pass over the images.

    Args:
        images: Images delivered.
        seconds: Wall-clock time, from the request to the last batch.
        first_batch_seconds: Until the first batch.
        cpu_seconds: CPU time of this process and of finished child processes, over all cores.
        bytes_read: Bytes that this process has read, from disk or from the system's cache; None where the
            system does not count them.
        bytes_delivered: Bytes of the batches, images and labels.
    """

    images: int
    seconds: float
    first_batch_seconds: float
    cpu_seconds: float
    bytes_read: int | None
    bytes_delivered: int


@dataclass(frozen=True, kw_only=True)
class InputTimes:
    """Several passes over the same number of images; each figure is the median over the passes."""

    passes: tuple[InputPass, ...]

    @property
    def images_per_second(self) -> float:
        """Images per second, all workers together."""
        return median(each.images / each.seconds for each in self.passes)

    @property
    def cpu_seconds_per_image(self) -> float:
        """CPU time of an image, over all threads."""
        return median(each.cpu_seconds / each.images for each in self.passes)

    @property
    def first_batch_seconds(self) -> float:
        """Time until the first batch of a pass."""
        return median(each.first_batch_seconds for each in self.passes)

    @property
    def bytes_read_per_image(self) -> float | None:
        """Bytes read for an image."""
        counts = [each.bytes_read / each.images for each in self.passes if each.bytes_read is not None]
        return median(counts) if counts else None

    @property
    def bytes_delivered_per_image(self) -> float:
        """Bytes of an image in a batch, with its label."""
        return median(each.bytes_delivered / each.images for each in self.passes)

    def needs(self, images_per_second: float) -> "HostNeeds":
        """Return what hosts must have to feed accelerators at a rate, in total over all of them."""
        read = self.bytes_read_per_image
        return HostNeeds(
            cores=images_per_second * self.cpu_seconds_per_image,
            read_bytes_per_second=None if read is None else images_per_second * read,
            device_bytes_per_second=images_per_second * self.bytes_delivered_per_image,
        )


@dataclass(frozen=True, kw_only=True)
class HostNeeds:
    """Resources of all hosts together that feed accelerators.

    Args:
        cores: Cores like those measured, for the input alone.
        read_bytes_per_second: Bytes to read, from local disks or over the network; None if unknown.
        device_bytes_per_second: Bytes to copy to the accelerators.
    """

    cores: float
    read_bytes_per_second: float | None
    device_bytes_per_second: float


@dataclass(frozen=True, kw_only=True)
class EndToEnd:
    """Times of blocks of as many steps, which alternate.

    Args:
        fixed: Seconds of each block of steps on a batch in memory.
        real: Seconds of the block after it, on batches of an input pipeline.
    """

    fixed: tuple[float, ...]
    real: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Speed with the pipeline, relative to that without it; the median over the blocks."""
        return median(fixed / real for fixed, real in zip(self.fixed, self.real, strict=True))


def compare_steps(
    step: Callable[..., Any],
    fixed: tuple[Any, ...],
    batches: Iterator[tuple[Any, ...]],
    *,
    steps: int,
    blocks: int,
    wait: float = 2.0,
) -> EndToEnd:
    """Time steps on one batch and on those of a pipeline, in turn.

    The pipeline's queues are full whenever it begins: it makes a new batch for each one that is taken, as in
    the middle of an epoch.

    Args:
        step: Takes a batch, and returns a tensor.
        fixed: A batch in memory.
        batches: The pipeline's batches, at least ``steps * blocks + 1``.
        steps: Steps of a block.
        blocks: Blocks of each kind.
        wait: Seconds for the pipeline to fill its queues at first.
    """
    for batch in (fixed, next(batches)):  # compile, and start the pipeline
        step(*batch).asnumpy()
    sleep(wait)

    def block(columns: Iterator[tuple[Any, ...]]) -> float:
        started = perf_counter()
        for _ in range(steps):
            step(*next(columns)).asnumpy()
        return perf_counter() - started

    times = [(block(repeat(fixed)), block(batches)) for _ in range(blocks)]
    return EndToEnd(fixed=tuple(one for one, _ in times), real=tuple(other for _, other in times))


def time_input(batches: Iterable[tuple[Any, ...]]) -> InputPass:
    """Time one pass.

    Args:
        batches: Images, labels and further columns of each batch, as NumPy arrays.
    """
    images = delivered = 0
    first = None
    read, cpu, started = _bytes_read(), _cpu_seconds(), perf_counter()
    for columns in batches:
        first = perf_counter() - started if first is None else first
        images += len(columns[0])
        delivered += sum(column.nbytes for column in columns)
    seconds = perf_counter() - started
    now = _bytes_read()
    return InputPass(
        images=images,
        seconds=seconds,
        first_batch_seconds=seconds if first is None else first,
        cpu_seconds=_cpu_seconds() - cpu,
        bytes_read=None if now is None or read is None else now - read,
        bytes_delivered=delivered,
    )


def _cpu_seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _bytes_read() -> int | None:
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("rchar:")), None)
