"""Samples in repeated-augmentation order, for MindSpore's own datasets."""

from collections.abc import Iterator
from math import ceil

import mindspore.dataset as ds
import numpy as np

from mindcv.ranges import AT_LEAST_ONE

__all__ = ["RepeatAugSampler"]


class RepeatAugSampler:
    """Gives every sample several times in a row, shared out over the shards (as DeiT, arXiv 2012.12877).

    It is the ``sampler`` of a MindSpore dataset. A pass is no longer than without repetitions, so it has only
    a part of the samples. `create_dataset` has the same as ``num_aug_repeats``.

    Args:
        dataset_size: Number of samples.
        num_shards: Number of shards; 1 by default.
        rank_id: Number of the shard, from 0; 0 by default.
        shuffle: Draw a new order at each pass, by the seed of `mindspore.dataset.config`.
        num_repeats: How often a sample is given.
        selected_round: Round the samples of a pass down to a multiple of this; 0 does not round.
    """

    def __init__(
        self,
        dataset_size: int,
        num_shards: int | None = None,
        rank_id: int | None = None,
        shuffle: bool = True,
        num_repeats: int = 3,
        selected_round: int = 256,
    ) -> None:
        AT_LEAST_ONE.check(dataset_size=dataset_size, num_shards=num_shards, num_repeats=num_repeats)
        self.dataset_size = dataset_size
        self.num_shards = num_shards or 1
        self.rank_id = rank_id or 0
        self.shuffle = shuffle
        self.num_repeats = num_repeats
        rounded = dataset_size // selected_round * selected_round if selected_round else dataset_size
        self.num_selected_samples = (
            rounded // self.num_shards if selected_round else ceil(dataset_size / self.num_shards)
        )
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        """Return the indices of a pass."""
        indices = np.arange(self.dataset_size)
        if self.shuffle:
            indices = np.random.default_rng((ds.config.get_seed(), self.epoch)).permutation(indices)
            self.epoch += 1
        repeated = np.repeat(indices, self.num_repeats)
        length = ceil(len(repeated) / self.num_shards) * self.num_shards
        shard = np.resize(repeated, length)[self.rank_id :: self.num_shards]
        return iter(shard[: self.num_selected_samples].tolist())

    def __len__(self) -> int:
        """Return the number of indices of a pass."""
        return self.num_selected_samples

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the pass, which the order depends on; passes count on from it.

        Args:
            epoch: Its number.
        """
        self.epoch = epoch
