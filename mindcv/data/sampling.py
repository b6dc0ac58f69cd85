"""Images, order and keys of a rank: pure functions of seed, epoch and rank."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["augmentation_seed", "count_samples", "epoch_indices", "epoch_keys", "shard_indices"]

Indices = NDArray[np.int64]


def count_samples(total: int, num_samples: int | None = None) -> int:
    """Return the number of images used: all, or `num_samples` if that is less."""
    return total if num_samples is None else min(total, num_samples)


def epoch_indices(
    total: int,
    *,
    seed: int,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
    shuffle: bool = True,
    num_samples: int | None = None,
    aug_repeats: int = 1,
) -> Indices:
    """Return the images of one rank in one training epoch.

    All ranks draw the same order from the seed and the epoch, and rank r takes its places r, r + world_size,
    and so on. Each gets equally many: if the images do not divide, the first of the order follow at its end.

    With `aug_repeats` (repeated augmentation, arXiv 1901.09335) the copies of an image stand next to each
    other in that order, so that they meet in one step, on neighbouring ranks where there are several. The
    epoch does not grow: it holds ``1 / aug_repeats`` of the images, drawn again each epoch.

    Args:
        total: Images in the dataset.
        seed: Seed of the run.
        epoch: Epoch, from 0.
        rank: This process.
        world_size: Number of processes.
        shuffle: Draw a new order each epoch; otherwise go in the dataset's order.
        num_samples: Use only this many images, over all ranks: the same ones in every epoch, drawn by the
            seed if `shuffle`, otherwise the first ones.
        aug_repeats: Number of times that each image occurs.

    Returns:
        Indices below `total`, of shape ``(ceil(used / world_size),)``.
    """
    used = count_samples(total, num_samples)
    order = np.arange(total)
    if shuffle:
        if used < total:
            order = np.random.default_rng(seed).permutation(total)
        order = np.random.default_rng((seed, epoch)).permutation(order[:used])
    each = -(-used // world_size)
    return np.resize(np.repeat(order[:used], aug_repeats), each * world_size)[rank::world_size]


def epoch_keys(count: int, *, seed: int, epoch: int, rank: int = 0, world_size: int = 1) -> Indices:
    """Return a random number for each image of one rank in one epoch, which determines its augmentation.

    Like the images of `epoch_indices`, the keys of all ranks are one list that is divided among them: the key
    of a place is the same for any number of ranks, and two copies of an image have different ones.

    Args:
        count: Images of this rank.
        seed: Seed of the run.
        epoch: Epoch, from 0.
        rank: This process.
        world_size: Number of processes.

    Returns:
        Numbers from 0 up to ``2**63``, of shape ``(count,)``.
    """
    sequence = np.random.SeedSequence((seed, epoch), spawn_key=(0,))  # not that of the order
    return np.random.default_rng(sequence).integers(2**63, size=count * world_size)[rank::world_size]


def shard_indices(
    total: int, *, rank: int = 0, world_size: int = 1, num_samples: int | None = None
) -> Indices:
    """Return the images of one rank in an evaluation: over all ranks every image occurs exactly once.

    Shards may differ in length by one, so add results up locally and reduce once.

    Args:
        total: Images in the dataset.
        rank: This process.
        world_size: Number of processes.
        num_samples: Use only the first ones, this many over all ranks.
    """
    return np.arange(rank, count_samples(total, num_samples), world_size)


def augmentation_seed(seed: int, epoch: int, rank: int) -> int:
    """Return the seed of the random transforms of one rank in one epoch, below 2**32.

    It is hashed, because MindSpore gives its workers successive seeds, which must not coincide on two ranks.
    """
    return int(np.random.SeedSequence((seed, epoch, rank)).generate_state(1)[0])
