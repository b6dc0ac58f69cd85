"""Number of worker threads of a pipeline."""

import logging
from functools import cache

import mindspore.dataset as ds

from mindcv.runtime.machine import usable_cores

__all__ = ["same_workers", "usable_workers"]

logger = logging.getLogger("mindcv.data")


def usable_workers(asked: int | None = None) -> int:
    """Return the number of worker threads to use: as many as asked for, but at most the usable cores.

    MindSpore refuses more workers than cores, and a recipe written for a larger machine should still run. The
    log says once that fewer are used, because the augmentation that a seed gives depends on their number.

    Args:
        asked: Threads wanted; None takes all cores.
    """
    cores = usable_cores()
    if asked is None or asked == cores:
        return cores
    if asked > cores:
        _say_capped(asked, cores)
    return max(1, min(asked, cores))


def same_workers(workers: int, asked: int | None = None) -> int:
    """Return the number of worker threads of a run that is resumed: the same on fewer cores, if possible.

    MindSpore takes more threads than the cores that a process may use, but not more than the machine has. The
    log says once what is different from a run that starts here.

    Args:
        workers: Threads that the run had.
        asked: Threads that a run that starts here would ask for, see `usable_workers`.
    """
    cores = usable_cores()
    usual = max(1, min(asked or cores, cores))
    if workers != usual and not _are_accepted(workers):
        _say_fewer(workers, usual)
        return usual
    if workers != usual:
        _say_same(workers)
    return workers


@cache
def _are_accepted(workers: int) -> bool:
    """Return whether MindSpore takes this number of threads: it counts cores in a way of its own."""
    try:
        probe = ds.NumpySlicesDataset([0], num_parallel_workers=1).batch(1, num_parallel_workers=workers)
        return len(list(probe.create_tuple_iterator(num_epochs=1, output_numpy=True))) == 1
    except (RuntimeError, ValueError):
        return False


@cache
def _say_fewer(workers: int, usual: int) -> None:
    logger.warning(
        "resumes with %d data workers instead of %d, for which this machine has too few cores: the random "
        "augmentation differs from that of a run that was not stopped",
        usual,
        workers,
    )


@cache
def _say_same(workers: int) -> None:
    logger.info("resumes with %d data workers, as before: their number changes the augmentation", workers)


@cache
def _say_capped(asked: int, cores: int) -> None:
    logger.warning("num_parallel_workers=%d is more than this machine's cores: using %d", asked, cores)
