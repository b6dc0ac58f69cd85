"""Timing of steps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

__all__ = ["StepTimes", "time_steps"]


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """Times of steps in seconds, from fetching the input to the result on the host.

    Args:
        first: Time of the first step, which compiles in graph mode.
        others: Times of the measured steps, which follow one warm-up step.
    """

    first: float
    others: tuple[float, ...]

    @property
    def typical(self) -> float:
        """The median of the measured steps."""
        return median(self.others)


def time_steps(step: Callable[..., Any], batches: Iterator[tuple[Any, ...]], count: int) -> StepTimes:
    """Time each step, including fetching its input.

    Args:
        step: Takes a batch, and returns a tensor.
        batches: Arguments of each step.
        count: Steps to measure; two more run before them.
    """
    seconds = []
    for _ in range(count + 2):
        started = perf_counter()
        step(*next(batches)).asnumpy()
        seconds.append(perf_counter() - started)
    return StepTimes(first=seconds[0], others=tuple(seconds[2:]))
