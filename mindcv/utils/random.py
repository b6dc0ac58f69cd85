"""One seed for every source of random numbers."""

import random

import mindspore as ms
import numpy as np

__all__ = ["set_seed"]


def set_seed(seed: int = 42, rank: int = 0) -> None:
    """Seed MindSpore, NumPy and Python.

    Args:
        seed: Seed of the run.
        rank: Rank of this process, which is added, so that each rank draws different numbers.
    """
    ms.set_seed(seed + rank)
    np.random.seed(seed + rank)
    random.seed(seed + rank)
