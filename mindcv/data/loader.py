"""Batches of transformed images."""

import random
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import mindspore.dataset as ds
import numpy as np
from numpy.typing import NDArray

from mindcv.data.epoch_plan import EpochPlanner, Plans
from mindcv.data.mixup import Mixup
from mindcv.data.seeded_augmentation import BATCHES, Augmentation, generator
from mindcv.data.sources.source import stream
from mindcv.data.transforms import create_transforms
from mindcv.data.workers import usable_workers
from mindcv.errors import UserError

__all__ = ["create_loader", "make_batches", "seed_operators"]


def create_loader(
    dataset: Any,
    batch_size: int,
    drop_remainder: bool = False,
    is_training: bool = False,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    cutmix_prob: float = 1.0,
    num_classes: int | None = None,
    transform: Sequence[Any] | None = None,
    target_transform: Any = None,
    num_parallel_workers: int | None = None,
    python_multiprocessing: bool = False,
) -> Any:
    """Transform the samples of a dataset and put them together in batches.

    Args:
        dataset: MindSpore dataset with the columns image and label, as from `create_dataset`.
        batch_size: Images a batch.
        drop_remainder: Leave out the last batch if it is not full.
        is_training: Which of an image folder's transforms are the default, and whether batches are mixed.
        mixup: Alpha of mixup; 0 does without it.
        cutmix: Alpha of CutMix; 0 does without it. Where both are on, each takes half of the mixed batches.
        cutmix_prob: Probability that a batch is mixed, by whichever of the two.
        num_classes: Outputs of the network, for mixing; by default the dataset's `num_classes()`.
        transform: Operators on the image, as from `create_transforms`; by default those of an image folder.
        target_transform: Operator or operators on the label; by default none.
        num_parallel_workers: Threads; by default, and at most, the machine's cores.
        python_multiprocessing: Run operators written in Python in processes instead of threads.

    Returns:
        MindSpore dataset with the columns image ``[N, C, H, W]`` and label ``[N]``; where batches are mixed,
        label is the probability of each class, float32 ``[N, num_classes]``.

    Raises:
        UserError: If batches are to be mixed, and the number of classes is not known or a number impossible.
    """
    workers = usable_workers(num_parallel_workers)
    operators = create_transforms(is_training=is_training) if transform is None else list(transform)
    mixer = None
    if is_training and (mixup or cutmix):
        classes = num_classes or dataset.num_classes()
        if not classes or classes < 0:
            raise UserError("mixup and cutmix need num_classes: give the number of the network's outputs")
        mixer = Mixup(mixup, cutmix, cutmix_prob, num_classes=classes)
    if target_transform is not None:
        dataset = dataset.map(
            target_transform,
            "label",
            num_parallel_workers=workers,
            python_multiprocessing=python_multiprocessing,
        )
    planner = EpochPlanner(
        total=_planned_size(dataset, operators, mixer), seed=ds.config.get_seed(), shuffle=False
    )
    return make_batches(
        dataset,
        operators,
        batch_size,
        plans=planner.plans(),
        drop_remainder=drop_remainder,
        workers=workers,
        mixup=mixer,
        python_multiprocessing=python_multiprocessing,
    )


def make_batches(
    dataset: Any,
    operators: Sequence[Any],
    batch_size: int,
    *,
    plans: Plans,
    drop_remainder: bool,
    workers: int,
    mixup: Mixup | None = None,
    python_multiprocessing: bool = False,
) -> Any:
    """Transform samples and put them together in batches, every random number in Python drawn from keys.

    Args:
        dataset: MindSpore dataset with the columns image and label.
        operators: Operators on the image. The first `Augmentation` and what follows it get keys.
        batch_size: Images a batch.
        plans: Gives the plan of a pass by its number, from 0: the key of every image, and whether batches are
            mixed.
        drop_remainder: Leave out the last batch if it is not full.
        workers: Threads.
        mixup: Mixes batches; by default they stay as they are, and labels numbers.
        python_multiprocessing: Run operators written in Python in processes instead of threads.
    """
    size = _planned_size(dataset, operators, mixup)
    options = {"num_parallel_workers": workers, "python_multiprocessing": python_multiprocessing}
    dataset = _transformed(dataset, operators, plans, size, options)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder, num_parallel_workers=workers)
    if mixup is None:
        return dataset

    count = size // batch_size if drop_remainder else -(-size // batch_size)

    def rows(number: int) -> Iterator[tuple[np.int64, np.bool_]]:
        plan = plans(number)
        return ((key, np.bool_(plan.mixed)) for key in plan.keys[::batch_size][:count])

    dataset = ds.zip((dataset, stream(["key", "mixed"], rows, count)))
    return dataset.map(
        partial(_mixed, mixup), ["image", "label", "key", "mixed"], ["image", "label"], **options
    )


def seed_operators(seed: int) -> None:
    """Seed MindSpore's operators, and leave alone the generators of Python and NumPy that it seeds too."""
    python, numpy = random.getstate(), np.random.get_state()
    ds.config.set_seed(seed)
    random.setstate(python)
    np.random.set_state(numpy)


def _planned_size(dataset: Any, operators: Sequence[Any], mixup: Mixup | None) -> int:
    """Number of images to draw keys for; 0 where none are drawn: counting may read the dataset."""
    return dataset.get_dataset_size() if mixup or any(map(_takes_key, operators)) else 0


def _takes_key(operator: Any) -> bool:
    return isinstance(operator, Augmentation)


def _transformed(
    dataset: Any,
    operators: Sequence[Any],
    plans: Plans,
    size: int,
    options: dict[str, Any],
) -> Any:
    """The images transformed, in as few maps as may be: each hands every image from thread to thread."""
    first = next((i for i, operator in enumerate(operators) if _takes_key(operator)), len(operators))
    if first:
        dataset = dataset.map(operators[:first], "image", **options)
    if first == len(operators):
        return dataset
    dataset = ds.zip((dataset, stream(["key"], lambda number: ((key,) for key in plans(number).keys), size)))
    return dataset.map(operators[first:], ["image", "key"], ["image"], **options)


def _mixed(
    mixup: Mixup, images: NDArray[np.uint8], labels: NDArray[Any], key: Any, mixed: Any
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return mixup(images, labels, generator(key, BATCHES), bool(mixed))
