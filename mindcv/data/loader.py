"""Batches of transformed images."""

import random
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore.dataset import transforms
from numpy.typing import NDArray

from mindcv.data.batch_mixing import BatchMixer
from mindcv.data.epoch_plan import EpochPlanner, Plans
from mindcv.data.seeded_augmentation import BATCHES, Augmentation, generator
from mindcv.data.sources.source import stream
from mindcv.data.transforms import create_transforms
from mindcv.data.workers import usable_workers
from mindcv.errors import UserError
from mindcv.ranges import AT_LEAST_ONE

__all__ = ["create_loader", "make_batches", "seed_operators"]

COPIES = ("image", "image_aug1", "image_aug2")  # one clean image and two augmented ones


def create_loader(
    dataset: Any,
    batch_size: int,
    drop_remainder: bool = False,
    is_training: bool = False,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    cutmix_prob: float = 1.0,
    num_classes: int | None = None,
    transform: Any = None,
    target_transform: Any = None,
    num_parallel_workers: int | None = None,
    python_multiprocessing: bool = False,
    separate: bool = False,
) -> Any:
    """Transform the samples of a dataset and combine them into batches.

    Args:
        dataset: MindSpore dataset with the columns image and label, as from `create_dataset`.
        batch_size: Batch size.
        drop_remainder: Drop the last batch if it is not full.
        is_training: Train, instead of evaluate: it decides on the default transforms and on mixing.
        mixup: Alpha of mixup; 0 switches it off.
        cutmix: Alpha of CutMix; 0 switches it off. If both are on, each takes half of the mixed batches.
        cutmix_prob: Probability that a batch is mixed, by whichever of the two.
        num_classes: Outputs of the network, for mixing; by default the dataset's `num_classes()`.
        transform: Operator or operators on the image, as from `create_transforms`; by default those of an
            image folder.
        target_transform: Operator or operators on the label; by default none.
        num_parallel_workers: Threads; by default, and at most, the machine's cores.
        python_multiprocessing: Run operators written in Python in processes instead of threads.
        separate: In training, make one clean and two augmented images of each sample, with the three lists of
            operators that ``create_transforms(separate=True)`` returns. A batch then holds all clean images,
            all first augmented ones and all second ones, ``3 * batch_size`` in total, with their labels.

    Returns:
        MindSpore dataset with the columns image ``[N, C, H, W]``, which is float32 and normalized unless the
        transform says otherwise, and label, int32 ``[N]``. If batches are mixed, label is the probability of
        each class, float32 ``[N, num_classes]``.

    Raises:
        UserError: If batches are to be mixed and the number of classes is unknown, another number is out of
            range, or `separate` comes without three lists of operators.
    """
    if num_parallel_workers is not None:
        AT_LEAST_ONE.check(num_parallel_workers=num_parallel_workers)
    workers = usable_workers(num_parallel_workers)
    if transform is None:
        transform = create_transforms(is_training=is_training, separate=separate)
    elif callable(transform):
        transform = [transform]
    known = getattr(dataset, "num_classes", None)
    separate = separate and is_training
    if separate and not (isinstance(transform, tuple) and len(transform) == 3):
        raise UserError("separate=True needs three lists of operators: create_transforms(..., separate=True)")
    mixer = None
    if is_training and (mixup or cutmix):
        classes = num_classes or dataset.num_classes()
        if not classes or classes < 0:
            raise UserError("mixup and cutmix need num_classes: give the number of the network's outputs")
        mixer = BatchMixer(mixup, cutmix, cutmix_prob, num_classes=classes)
    if target_transform is None and _has_long_labels(dataset):
        target_transform = transforms.TypeCast(ms.int32)
    options = {"num_parallel_workers": workers, "python_multiprocessing": python_multiprocessing}
    if target_transform is not None:
        dataset = dataset.map(target_transform, "label", **options)
    lists = transform if separate else (transform,)
    size = _planned_size(dataset, lists, mixer)
    planner = EpochPlanner(total=size, seed=ds.config.get_seed(), shuffle=False)
    batches = make_batches(
        dataset,
        transform,
        batch_size,
        plans=planner.plans(),
        drop_remainder=drop_remainder,
        workers=workers,
        mixup=mixer,
        python_multiprocessing=python_multiprocessing,
        separate=separate,
    )
    if known is not None:
        batches.num_classes = known
    return batches


def _has_long_labels(dataset: Any) -> bool:
    """Return whether the labels are integers of another type than int32, which losses expect."""
    if hasattr(dataset, "get_class_indexing") and dataset.get_class_indexing():
        return False  # of `create_dataset`: int32
    types = dict(zip(dataset.get_col_names(), dataset.output_types(), strict=True))
    return np.dtype(types["label"]).kind in "iu" and types["label"] != np.int32


def make_batches(
    dataset: Any,
    operators: Sequence[Any],
    batch_size: int,
    *,
    plans: Plans,
    drop_remainder: bool,
    workers: int,
    mixup: BatchMixer | None = None,
    python_multiprocessing: bool = False,
    separate: bool = False,
) -> Any:
    """Transform samples and combine them into batches; random numbers in Python are derived from keys.

    Args:
        dataset: MindSpore dataset with the columns image and label.
        operators: Operators on the image. The first `Augmentation` and what follows it get keys.
        batch_size: Batch size.
        plans: Gives the plan of a pass by its number, from 0: the key of every image, and whether batches are
            mixed.
        drop_remainder: Drop the last batch if it is not full.
        workers: Threads.
        mixup: Mixes batches; by default they are not mixed, and labels stay numbers.
        python_multiprocessing: Run operators written in Python in processes instead of threads.
        separate: `operators` are three lists, see `create_loader`.
    """
    lists = operators if separate else (operators,)
    size = _planned_size(dataset, lists, mixup)
    options = {"num_parallel_workers": workers, "python_multiprocessing": python_multiprocessing}
    if size:
        dataset = ds.zip((dataset, _key_columns(plans, size, separate=separate, mixed=mixup is not None)))
    if separate:
        dataset = _transformed_thrice(dataset, lists, options)
    else:
        dataset = _transformed(dataset, operators, "image", "key", options)
    columns = ["image", "label"] + (["batch_key", "mixed"] if mixup else [])
    copies = list(COPIES[1:]) if separate else []
    if size or separate:
        dataset = dataset.project([*columns, *copies])
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder, num_parallel_workers=workers)
    if separate:
        dataset = dataset.map(_joined, [*COPIES, "label"], ["image", "label"], **options)
    if mixup is not None:
        dataset = dataset.map(partial(_mixed, mixup), columns, ["image", "label"], **options)
    return dataset


def seed_operators(seed: int) -> None:
    """Seed MindSpore's operators without touching the generators of Python and NumPy, which it seeds too."""
    python, numpy = random.getstate(), np.random.get_state()
    ds.config.set_seed(seed)
    random.setstate(python)
    np.random.set_state(numpy)


def _planned_size(dataset: Any, lists: Sequence[Sequence[Any]], mixup: BatchMixer | None) -> int:
    """Return the number of images to draw keys for; 0 if none are needed: counting may read the dataset."""
    keyed = any(isinstance(operator, Augmentation) for operators in lists for operator in operators)
    return dataset.get_dataset_size() if mixup or keyed else 0


def _key_columns(plans: Plans, size: int, *, separate: bool, mixed: bool) -> Any:
    """Return a dataset of the keys of all images, with one column for each operator that consumes one."""
    offsets = {"key": 0}
    if separate:
        # The two augmented images of a sample have keys of their own, and so has the clean one.
        for number, image in enumerate(COPIES):
            offsets |= {f"key_{image}": number, f"last_key_{image}": number}

    def rows(number: int) -> Iterator[tuple[Any, ...]]:
        plan = plans(number)
        for key in plan.keys:
            keys = tuple(key ^ np.int64(offset) for offset in offsets.values())
            yield (*keys, key, np.bool_(plan.mixed)) if mixed else keys

    return stream([*offsets, *(["batch_key", "mixed"] if mixed else [])], rows, size)


def _transformed(
    dataset: Any, operators: Sequence[Any], image: str, key: str, options: dict[str, Any]
) -> Any:
    """Apply operators to a column in as few maps as possible: each passes images between threads."""
    first = next((i for i, o in enumerate(operators) if isinstance(o, Augmentation)), len(operators))
    if first:
        dataset = dataset.map(operators[:first], image, **options)
    if first < len(operators):
        dataset = dataset.map(operators[first:], [image, key], [image], **options)
    return dataset


def _transformed_thrice(dataset: Any, lists: Sequence[Sequence[Any]], options: dict[str, Any]) -> Any:
    """Crop an image, copy it twice, augment the copies, and normalize all three."""
    cropping, changing, final = lists
    dataset = _transformed(dataset, cropping, "image", "key", options)
    for copy in COPIES[1:]:
        dataset = dataset.map(transforms.Duplicate(), ["image"], ["image", copy], **options)
        dataset = _transformed(dataset, changing, copy, f"key_{copy}", options)
    for image in COPIES:
        dataset = _transformed(dataset, final, image, f"last_key_{image}", options)
    return dataset


def _joined(
    clean: NDArray[Any], one: NDArray[Any], other: NDArray[Any], labels: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.concatenate([clean, one, other]), np.concatenate([labels] * 3)


def _mixed(
    mixup: BatchMixer,
    images: NDArray[Any],
    labels: NDArray[Any],
    keys: NDArray[np.int64],
    mixed: NDArray[np.bool_],
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Mix a batch by the key of its first image."""
    return mixup(images, labels, generator(keys[0], BATCHES), bool(mixed[0]))
