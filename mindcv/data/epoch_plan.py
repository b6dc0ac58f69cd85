"""The plan of an epoch: which images a rank sees, with which random numbers, at which size, mixed or not.

It is a function of the seed, the epoch and the rank. The pipeline executes it.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from mindcv.data.sampling import (
    Indices,
    augmentation_seed,
    count_samples,
    epoch_indices,
    epoch_keys,
    shard_indices,
)
from mindcv.errors import UserError

__all__ = ["EpochPlan", "EpochPlanner", "Plans"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EpochPlan:
    """One epoch of one rank.

    Args:
        epoch: Epoch, from 0.
        indices: Images in their order, int64 of shape ``(count,)``.
        keys: Key of each place in that order, int64 of the same shape: Python's augmentation and mixing are
            drawn from it, see `epoch_keys`.
        operator_seed: Seed of MindSpore's random operators.
        stage: Stage of a run whose images grow, from 0.
        mixed: Whether batches may be mixed.
    """

    epoch: int
    indices: Indices
    keys: Indices
    operator_seed: int
    stage: int = 0
    mixed: bool = True


Plans = Callable[[int], EpochPlan]  # of the passes over a dataset, by their number from 0


@dataclass(frozen=True, kw_only=True)
class EpochPlanner:
    """Makes the plans of one rank.

    Args:
        total: Images in the dataset.
        seed: Seed of the run.
        rank: This process.
        world_size: Number of processes.
        is_training: Plan training epochs, see `epoch_indices`; otherwise evaluations, see `shard_indices`.
        shuffle: Draw a new order each training epoch.
        num_samples: Use only this many images, over all ranks.
        aug_repeats: Number of times that each image of a training epoch occurs.
        stage_starts: First epoch of each stage.
        mixup_off_epoch: Mix no batch from this epoch on; 0 never stops mixing.

    Raises:
        UserError: If a number is out of range.
    """

    total: int
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    is_training: bool = True
    shuffle: bool = True
    num_samples: int | None = None
    aug_repeats: int = 1
    stage_starts: tuple[int, ...] = (0,)
    mixup_off_epoch: int = 0

    def __post_init__(self) -> None:
        if self.aug_repeats < 1:
            raise UserError(f"aug_repeats={self.aug_repeats} must be a positive integer")
        if self.aug_repeats > 1 and not self.shuffle:
            raise UserError(
                f"aug_repeats={self.aug_repeats} without shuffle would train on the same images in every "
                "epoch and never on the others: set shuffle to True"
            )
        if self.mixup_off_epoch < 0:
            raise UserError(
                f"mixup_off_epoch={self.mixup_off_epoch} must not be negative: give an epoch, or 0 for never"
            )
        if any(start >= following for start, following in itertools.pairwise(self.stage_starts)):
            raise UserError(
                f"later_transforms start at epochs {list(self.stage_starts[1:])}: "
                "give increasing epochs above 0"
            )

    @property
    def num_images(self) -> int:
        """Images used, over all ranks."""
        return count_samples(self.total, self.num_samples)

    @property
    def images_per_epoch(self) -> int:
        """Images of this rank in an epoch: equally many on each rank in training."""
        if self.is_training:
            return -(-self.num_images // self.world_size)
        return len(range(self.rank, self.num_images, self.world_size))

    def plan(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch, from 0."""
        indices = self.indices(epoch)
        return EpochPlan(
            epoch=epoch,
            indices=indices,
            keys=epoch_keys(
                len(indices), seed=self.seed, epoch=epoch, rank=self.rank, world_size=self.world_size
            ),
            operator_seed=augmentation_seed(self.seed, epoch, self.rank),
            stage=sum(start <= epoch for start in self.stage_starts[1:]),
            mixed=not 0 < self.mixup_off_epoch <= epoch,
        )

    def plans(self, first_epoch: int = 0) -> Plans:
        """Return the plans of successive passes over a dataset, of which the first is that of an epoch."""

        # The threads that read images and those that distribute keys request the same plan.
        @lru_cache(maxsize=2)
        def plan(number: int) -> EpochPlan:
            return self.plan(first_epoch + number)

        return plan

    def stages(self, num_epochs: int, first_epoch: int = 0) -> list[tuple[int, int]]:
        """Return the first epoch of each stage of a training run, and the epoch after its last.

        Args:
            num_epochs: Epoch at which the training ends.
            first_epoch: Epoch at which it starts.
        """
        if first_epoch >= num_epochs:
            return []
        changes = [start for start in self.stage_starts if first_epoch < start < num_epochs]
        return list(itertools.pairwise([first_epoch, *changes, num_epochs]))

    def indices(self, epoch: int) -> Indices:
        """Return the images of an epoch in their order."""
        if not self.is_training:
            return shard_indices(
                self.total, rank=self.rank, world_size=self.world_size, num_samples=self.num_samples
            )
        return epoch_indices(
            self.total,
            seed=self.seed,
            epoch=epoch,
            rank=self.rank,
            world_size=self.world_size,
            shuffle=self.shuffle,
            num_samples=self.num_samples,
            aug_repeats=self.aug_repeats,
        )
