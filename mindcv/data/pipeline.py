"""A dataset's epochs as MindSpore pipelines, each a function of the seed, the epoch and the rank alone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mindspore.dataset as ds
import numpy as np

from mindcv.data.loader import create_loader
from mindcv.data.sampling import augmentation_seed, count_samples, epoch_indices, shard_indices
from mindcv.data.sources import Indices, LaterPasses, Source
from mindcv.data.workers import usable_workers
from mindcv.errors import UserError

__all__ = ["Pipeline"]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Batches of one rank, epoch by epoch.

    In training every rank gets equally many batches. In evaluation the ranks share the images out, each
    exactly once, so that one rank may get a batch more than another.

    Args:
        source: Samples.
        transform: Operators on the image, as from `create_transforms`.
        batch_size: Images a batch.
        is_training: Train, instead of evaluate.
        drop_remainder: Leave out the last batch of an epoch if it is not full.
        shuffle: Draw the training images in a new order each epoch. An evaluation keeps the dataset's.
        seed: Seed of the order and of the augmentation.
        rank: This process.
        size: Number of processes.
        num_parallel_workers: Threads; by default, and at most, the machine's cores. With another number the
            same seed gives another augmentation.
        num_samples: Use only this many images, over all ranks.
        num_classes: Outputs of the network; every label must be below it. By default it is not checked.

    Raises:
        UserError: If there are too few images for one batch on every rank, or a label is too large.
    """

    source: Source
    transform: Sequence[Any]
    batch_size: int
    is_training: bool = False
    drop_remainder: bool = False
    shuffle: bool = True
    seed: int = 0
    rank: int = 0
    size: int = 1
    num_parallel_workers: int | None = None
    num_samples: int | None = None
    num_classes: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"batch_size={self.batch_size} is no batch: give 1 or more")
        if self.num_images < self.size or self.steps_per_epoch == 0:
            ranks = f" on each of {self.size} ranks" if self.size > 1 else ""
            raise UserError(
                f"{self.num_images} images of {self.source.origin} do not fill one batch of "
                f"batch_size={self.batch_size}{ranks}: lower batch_size or add images"
            )
        if self.num_classes is not None and self.num_classes <= self.source.labels.max():
            raise UserError(
                f"num_classes={self.num_classes} is too small: {self.source.origin} has the label "
                f"{self.source.labels.max()}, so give {self.source.labels.max() + 1} or more"
            )

    @property
    def num_images(self) -> int:
        """Images used, over all ranks."""
        return count_samples(len(self.source), self.num_samples)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of this rank in an epoch."""
        images = len(range(self.rank, self.num_images, self.size))
        if self.is_training:
            images = -(-self.num_images // self.size)
        return images // self.batch_size if self.drop_remainder else -(-images // self.batch_size)

    @property
    def updates_per_epoch(self) -> int:
        """Updates of the parameters in an epoch."""
        return self.steps_per_epoch

    def stages(self) -> Sequence[int]:
        """Epochs at which the size of the images changes."""
        return ()

    def epoch(self, epoch: int = 0, *, skip: int = 0) -> Any:
        """The batches of one epoch, for a single pass.

        Iterate it before another training epoch is asked for: MindSpore takes up the seed when a pass begins.

        Args:
            epoch: Epoch, from 0; it means nothing to an evaluation.
            skip: Batches to leave out at the start. What follows is what would have followed them.

        Returns:
            MindSpore dataset with the columns image (uint8, ``[N, C, H, W]``) and label (int32, ``[N]``).
        """
        if self.is_training:
            _seed_augmentation(augmentation_seed(self.seed, epoch, self.rank))
        batches = self._batches(self._indices(epoch))
        # Skipping whole batches lets the random operators run over them: a shorter list of images would not.
        return batches.skip(skip) if skip else batches

    def run(self, first_epoch: int = 0) -> Any:
        """The batches of one epoch at each pass, for a device that keeps one dataset for the whole run.

        The images and their order are those of `epoch`; the augmentation goes on from pass to pass instead of
        starting anew, and so does the order in MindRecord.

        Args:
            first_epoch: Epoch of the first pass.
        """
        _seed_augmentation(augmentation_seed(self.seed, first_epoch, self.rank))
        return self._batches(self._indices(first_epoch), lambda n: self._indices(first_epoch + n))

    def _indices(self, epoch: int) -> Indices:
        total, ranks = len(self.source), {"rank": self.rank, "size": self.size}
        if not self.is_training:
            return shard_indices(total, num_samples=self.num_samples, **ranks)
        return epoch_indices(
            total,
            seed=self.seed,
            epoch=epoch,
            shuffle=self.shuffle,
            num_samples=self.num_samples,
            **ranks,
        )

    def _batches(self, indices: Indices, later: LaterPasses | None = None) -> Any:
        workers = usable_workers(self.num_parallel_workers)
        return create_loader(
            self.source.dataset(indices, later=later, num_parallel_workers=workers),
            self.batch_size,
            drop_remainder=self.drop_remainder,
            transform=self.transform,
            num_parallel_workers=workers,
        )

    def explain(self, error: Exception) -> Exception:
        """What to raise in place of an error that an epoch raised: MindSpore does not name the file.

        Returns:
            A `UserError` that names the files which are no readable image; `error` itself if all are.
        """
        files = self.source.unreadable()
        if not files:
            return error
        return UserError(f"{', '.join(files)} cannot be read as an image: remove or replace it")


def _seed_augmentation(seed: int) -> None:
    """Seed MindSpore's operators, and leave alone the generators of Python and NumPy that it seeds too."""
    python, numpy = random.getstate(), np.random.get_state()
    ds.config.set_seed(seed)
    random.setstate(python)
    np.random.set_state(numpy)
