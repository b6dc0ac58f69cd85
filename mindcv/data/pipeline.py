"""A dataset's epochs as MindSpore pipelines, each a function of the seed, the epoch and the rank alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindcv.choices import BadImagePolicy
from mindcv.data.batch_mixing import BatchMixer
from mindcv.data.epoch_plan import EpochPlanner, Plans
from mindcv.data.loader import make_batches, seed_operators
from mindcv.data.onnx_teacher import with_teacher
from mindcv.data.prepared_images import PreparedImages
from mindcv.data.sources.source import Source, StreamSource
from mindcv.data.workers import same_workers, usable_workers
from mindcv.errors import UserError

__all__ = ["Pipeline"]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Batches of one rank, epoch by epoch.

    In training every rank gets equally many batches. In evaluation the images are divided among the ranks,
    each exactly once, so that one rank may get one batch more than another.

    Args:
        source: Samples.
        transform: Operators on the image, as from `create_transforms`.
        later_transforms: Operators for later epochs, each with its first epoch: see `progressive_stages`.
        batch_size: Batch size.
        is_training: Train, instead of evaluate.
        drop_remainder: Drop the last batch of an epoch if it is not full.
        shuffle: Draw the training images in a new order each epoch. An evaluation keeps the dataset's.
        seed: Seed of the order and of the augmentation.
        rank: This process.
        world_size: Number of processes.
        num_parallel_workers: Threads; by default, and at most, the machine's cores. With another number the
            same seed gives another augmentation.
        resumed_workers: Threads of the run that this one continues, whatever the number of cores now.
        num_samples: Use only this many images, over all ranks.
        num_classes: Outputs of the network; every label must be below it. By default it is not checked.
        aug_repeats: Number of times that each image of a training epoch occurs: see `epoch_indices`.
        mixup: Alpha of mixup in training; 0 switches it off.
        cutmix: Alpha of CutMix in training; 0 switches it off. With either, labels are the probability of
            each class, float32 ``[N, num_classes]``, of the source's classes if `num_classes` is not given.
        cutmix_prob: Probability that a batch is mixed, by whichever of the two.
        mixup_switch_prob: Probability that a mixed batch gets CutMix, where both are on.
        mixup_off_epoch: Mix no batch from this epoch on; labels stay probabilities. 0 never stops mixing.
        accumulation: Gradient accumulation steps. A training epoch is cut to a multiple of them.
        teacher: Takes the images of a batch and returns logits, which become a third column.
        python_multiprocessing: Run operators written in Python in processes instead of threads, which are
            held up by each other where there are many cores.
        on_bad_image: What to do with an image file that cannot be read. fail ends the epoch. In training,
            skip replaces it by the next one of the epoch's order and replace by the next one of its class,
            and nothing else changes; in evaluation either leaves it out, with the label -1.
        prepared: Keeps the images of `source` in memory, decoded and resized. It changes no pixel.

    Raises:
        UserError: If there are too few images for one update on every rank, a label is too large, or another
            number is out of range.
    """

    source: Source
    transform: Sequence[Any]
    batch_size: int
    is_training: bool = False
    drop_remainder: bool = False
    shuffle: bool = True
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    num_parallel_workers: int | None = None
    resumed_workers: int | None = None
    num_samples: int | None = None
    num_classes: int | None = None
    later_transforms: Sequence[tuple[int, Sequence[Any]]] = ()
    aug_repeats: int = 1
    mixup: float = 0.0
    cutmix: float = 0.0
    cutmix_prob: float = 1.0
    mixup_switch_prob: float = 0.5
    mixup_off_epoch: int = 0
    accumulation: int = 1
    teacher: Callable[[np.ndarray], np.ndarray] | None = None
    python_multiprocessing: bool = False
    on_bad_image: BadImagePolicy = "fail"
    prepared: PreparedImages | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"batch_size={self.batch_size} must be a positive integer")
        self._check_images()
        self._check_updates()
        self._mixer()

    def _check_images(self) -> None:
        if self.num_images < self.world_size or self._full_steps == 0:
            ranks = f" on each of {self.world_size} ranks" if self.world_size > 1 else ""
            raise UserError(
                f"{self.num_images} images of {self.source.origin} do not fill one batch of "
                f"batch_size={self.batch_size}{ranks}: lower batch_size or add images"
            )
        if self.num_classes is not None and self.num_classes <= self.source.labels.max():
            needed = max(self.source.labels.max() + 1, len(self.source.classes))
            raise UserError(
                f"num_classes={self.num_classes} is too small: {self.source.origin} has {needed} classes, "
                f"so give {needed} or more"
            )
        if self.on_bad_image != "fail" and not isinstance(self.source, StreamSource):
            raise UserError(
                f"on_bad_image={self.on_bad_image} needs images that are files, and MindSpore reads "
                f"{self.source.origin} itself: leave it at fail"
            )

    def _check_updates(self) -> None:
        if self.accumulation < 1:
            raise UserError(f"gradient_accumulation_steps={self.accumulation} must be a positive integer")
        if self.is_training and self._full_steps < self.accumulation:
            raise UserError(
                f"gradient_accumulation_steps={self.accumulation} is more than the "
                f"{self._full_steps} batches of an epoch: lower it or batch_size"
            )

    @property
    def num_images(self) -> int:
        """Images used, over all ranks."""
        return self.planner.num_images

    @property
    def planner(self) -> EpochPlanner:
        """The planner, which determines all that depends on the epoch, the seed and the rank."""
        return EpochPlanner(
            total=len(self.source),
            seed=self.seed,
            rank=self.rank,
            world_size=self.world_size,
            is_training=self.is_training,
            shuffle=self.shuffle,
            num_samples=self.num_samples,
            aug_repeats=self.aug_repeats,
            stage_starts=(0, *(start for start, _ in self.later_transforms)),
            mixup_off_epoch=self.mixup_off_epoch,
        )

    @property
    def workers(self) -> int:
        """Threads that decode and augment."""
        if self.resumed_workers is None:
            return usable_workers(self.num_parallel_workers)
        return same_workers(self.resumed_workers, self.num_parallel_workers)

    @property
    def updates_per_epoch(self) -> int:
        """Updates of the network in a training epoch."""
        return self.steps_per_epoch // self.accumulation

    @property
    def steps_per_epoch(self) -> int:
        """Batches of this rank in an epoch: in training, a multiple of the accumulation steps."""
        steps = self._full_steps
        return steps - steps % self.accumulation if self.is_training else steps

    @property
    def _full_steps(self) -> int:
        """Batches of this rank, before they are cut to a multiple."""
        images = self.planner.images_per_epoch
        return images // self.batch_size if self.drop_remainder else -(-images // self.batch_size)

    def epoch(self, epoch: int = 0, *, skip: int = 0) -> Any:
        """Return the batches of one epoch, for a single pass.

        Iterate it before you ask for another training epoch: MindSpore reads the seed when a pass begins.

        Args:
            epoch: Epoch, from 0; an evaluation ignores it.
            skip: Batches to skip at the start. The others do not change.

        Returns:
            MindSpore dataset with the columns image (uint8, ``[N, C, H, W]``) and label (int32, ``[N]``, or
            probabilities where batches are mixed).
        """
        plan = self.planner.plan(epoch)
        if self.is_training:
            seed_operators(plan.operator_seed)
        batches = self._batches(lambda _: plan, endless=False)
        # Skipping batches lets the random operators run over them: a shorter list of images would not.
        return self._with_teacher(batches.skip(skip) if skip else batches)

    def _with_teacher(self, batches: Any) -> Any:
        return batches if self.teacher is None else with_teacher(batches, self.teacher)

    def run(self, first_epoch: int = 0) -> Any:
        """Return the batches of one epoch in each pass, for a device that keeps one dataset for a run.

        The images and their order are those of `epoch`, and so is what Python draws: augmentation and mixing.
        MindSpore's own operators are not seeded again at each pass, and neither is the order in MindRecord.

        Args:
            first_epoch: Epoch of the first pass. Its operators serve all passes: see `stages`.

        Raises:
            UserError: If images are repeated, of a source that draws the order itself.
        """
        if self.aug_repeats > 1 and not isinstance(self.source, StreamSource):
            raise UserError(
                f"aug_repeats={self.aug_repeats} with dataset_sink_mode would train on the same images of "
                f"the MindRecord {self.source.origin} in every epoch: set aug_repeats to 0, or "
                "dataset_sink_mode to False"
            )
        plans = self.planner.plans(first_epoch)
        seed_operators(plans(0).operator_seed)
        return self._with_teacher(self._batches(plans, endless=True))

    def stages(self, num_epochs: int, first_epoch: int = 0) -> list[tuple[int, int]]:
        """Return the stages of a training, within which the operators are the same: one `run` serves each.

        Args:
            num_epochs: Epoch at which the training ends.
            first_epoch: Epoch at which it starts.

        Returns:
            First epoch of each stage, and the epoch after its last.
        """
        return self.planner.stages(num_epochs, first_epoch)

    def _mixer(self) -> BatchMixer | None:
        if not self.is_training or not (self.mixup or self.cutmix):
            return None
        return BatchMixer(
            self.mixup,
            self.cutmix,
            self.cutmix_prob,
            self.mixup_switch_prob,
            num_classes=self.num_classes or len(self.source.classes),
        )

    def _batches(self, plans: Plans, *, endless: bool) -> Any:
        """Return the batches of the first plan; if `endless`, each further pass follows the next plan."""
        first, workers = plans(0), self.workers
        on_bad_image = self.on_bad_image if self.is_training or self.on_bad_image == "fail" else "blank"
        operators = (self.transform, *(operators for _, operators in self.later_transforms))[first.stage]
        source = self.source
        if self.prepared is not None:
            source, operators = self.prepared.apply(operators, workers)
        images = source.dataset(
            first.indices,
            later=(lambda number: plans(number).indices) if endless else None,
            num_parallel_workers=workers,
            on_bad_image=on_bad_image,
        )
        batches = make_batches(
            images,
            operators,
            self.batch_size,
            plans=plans,
            drop_remainder=self.drop_remainder,
            workers=workers,
            mixup=self._mixer(),
            python_multiprocessing=self.python_multiprocessing,
        )
        return batches if self.steps_per_epoch == self._full_steps else batches.take(self.steps_per_epoch)

    def explain(self, error: Exception) -> Exception:
        """Return the error to raise in place of one that an epoch raised: MindSpore does not name the file.

        Returns:
            A `UserError` that names the files that cannot be read; `error` itself if all can.
        """
        fault = self.source.diagnose(error)
        return UserError(fault) if fault else error

    def bad_images(self) -> str:
        """Report the images that could not be read since the last call, in one line; empty if all could.

        A training counts them each time. An evaluation, whose images are the same ones each time, reports
        only those that are new.
        """
        trained = "replaced" if self.on_bad_image == "replace" else "skipped"
        outcome = trained if self.is_training else "not counted"
        rank = f" on rank {self.rank} of {self.world_size}" if self.world_size > 1 else ""
        return self.source.bad_images(outcome, rank=rank, always=self.is_training)
