"""Number of worker threads of a pipeline."""

import logging
from functools import cache

from mindcv.runtime.machine import usable_cores

__all__ = ["usable_workers"]

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


@cache
def _say_capped(asked: int, cores: int) -> None:
    logger.warning("num_parallel_workers=%d is more than this machine's cores: using %d", asked, cores)
