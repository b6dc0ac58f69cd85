"""Which images a rank sees, and in which order: a function of the seed, the epoch and the rank."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["augmentation_seed", "count_samples", "epoch_indices", "shard_indices"]

Indices = NDArray[np.int64]


def count_samples(total: int, num_samples: int | None = None) -> int:
    """How many of `total` images are used: all of them, or `num_samples` if that is less."""
    return total if num_samples is None else min(total, num_samples)


def epoch_indices(
    total: int,
    *,
    seed: int,
    epoch: int,
    rank: int = 0,
    size: int = 1,
    shuffle: bool = True,
    num_samples: int | None = None,
) -> Indices:
    """Images of one rank in one training epoch.

    All ranks draw the same order from the seed and the epoch, and rank r takes its places r, r + size, and so
    on. Each gets equally many: if the images do not divide, the first of the order come again at its end.

    Args:
        total: Images in the dataset.
        seed: Seed of the run.
        epoch: Epoch, from 0.
        rank: This process.
        size: Number of processes.
        shuffle: Draw a new order each epoch; otherwise go in the dataset's order.
        num_samples: Use only this many images, over all ranks: the same ones in every epoch, drawn by the
            seed if `shuffle`, otherwise the first ones.

    Returns:
        Indices below `total`, of shape ``(ceil(used / size),)``.
    """
    used = count_samples(total, num_samples)
    order = np.arange(total)
    if shuffle:
        if used < total:
            order = np.random.default_rng(seed).permutation(total)
        order = np.random.default_rng((seed, epoch)).permutation(order[:used])
    each = -(-used // size)
    return np.resize(order[:used], each * size)[rank::size]


def shard_indices(total: int, *, rank: int = 0, size: int = 1, num_samples: int | None = None) -> Indices:
    """Images of one rank in an evaluation: over all ranks every image comes exactly once.

    Shards may differ in length by one, so add results up locally and reduce once.

    Args:
        total: Images in the dataset.
        rank: This process.
        size: Number of processes.
        num_samples: Use only the first ones, this many over all ranks.
    """
    return np.arange(rank, count_samples(total, num_samples), size)


def augmentation_seed(seed: int, epoch: int, rank: int) -> int:
    """Seed of the random transforms of one rank in one epoch, below 2**32.

    It is hashed: MindSpore gives its workers neighbouring seeds, and two ranks' must not meet.
    """
    return int(np.random.SeedSequence((seed, epoch, rank)).generate_state(1)[0])
