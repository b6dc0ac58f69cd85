"""The progress of a long loop: a bar in a terminal, now and then a line elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TypeVar

from tqdm import tqdm

__all__ = ["clock_time", "track"]

T = TypeVar("T")
SECONDS_PER_LINE = 30  # a log of a long validation stays short, and a short one prints nothing


def track(
    items: Iterable[T], total: int, what: str, *, unit: str = "batch", speaks: bool = True
) -> Iterator[T]:
    """Yield the items, and show how many of them are done.

    Args:
        items: What the loop goes through.
        total: How many there are.
        what: What is done with them, such as ``validation``.
        unit: What an item is.
        speaks: Whether to show anything: one of several processes does.
    """
    if not speaks or sys.stderr is None:
        yield from items
    elif sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=what, unit=unit, leave=False)
    else:
        yield from _with_lines(items, total, what, unit)


def _with_lines(items: Iterable[T], total: int, what: str, unit: str) -> Iterator[T]:
    started = last = perf_counter()
    for done, item in enumerate(items, 1):
        yield item
        now = perf_counter()
        if now - last >= SECONDS_PER_LINE and done < total:
            left = (now - started) / done * (total - done)
            print(f"{what}  {unit} {done}/{total}  {clock_time(left)} left", file=sys.stderr, flush=True)
            last = now


def clock_time(seconds: float) -> str:
    """Return a time as hours, minutes and seconds: ``0:02:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
