"""Datasets by name."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mindspore.dataset as ds

from mindcv.data.catalogue import find_dataset
from mindcv.data.dataset_download import DOWNLOADS, default_folder, download_dataset
from mindcv.data.epoch_plan import EpochPlanner
from mindcv.data.sampling import count_samples
from mindcv.data.sources.cifar_mnist import read_cifar10, read_cifar100, read_fashion_mnist, read_mnist
from mindcv.data.sources.digits import write_digits
from mindcv.data.sources.image_folder import FolderSource, class_index
from mindcv.data.sources.mindrecord import MindRecordSource
from mindcv.data.sources.source import Source, StreamSource
from mindcv.data.workers import usable_workers
from mindcv.errors import ContradictionError, UnknownNameError, UserError
from mindcv.files.inputs import existing_folder
from mindcv.ranges import AT_LEAST_ONE, IMAGE_PIXELS, MAX_IMAGE_PIXELS

__all__ = ["create_dataset", "create_source"]

logger = logging.getLogger(__name__)


def create_source(
    name: str = "",
    root: str | Path | None = None,
    split: str = "train",
    *,
    splits: Sequence[str] = ("train", "val"),
    max_image_pixels: int = MAX_IMAGE_PIXELS,
) -> Source:
    """Open a dataset.

    Args:
        name: imagenet or image_folder (also ``""``), digits, cifar10, cifar100, mnist, fashion_mnist or
            mindrecord. digits is written to `root` if it is not there.
        root: Folder of the dataset.
        split: Split of the dataset: the name of a folder or file, or train or val.
        splits: The splits that must agree in their classes, training first, where they are folders: see
            `class_index`.
        max_image_pixels: An image of more pixels, as its header states them, is a bad one: it is not decoded.

    Returns:
        Its samples in random access, with their classes.

    Raises:
        UserError: If the name is unknown, what it needs is not in `root`, or a number is out of range.
    """
    IMAGE_PIXELS.check(max_image_pixels=max_image_pixels)
    info = find_dataset(name)
    root = existing_folder(root, info.name, splits[0] if split else split)
    match info.name:
        case "cifar10":
            return read_cifar10(root, split)
        case "cifar100":
            return read_cifar100(root, split)
        case "mnist":
            return read_mnist(root, split)
        case "fashion_mnist":
            return read_fashion_mnist(root, split)
        case "mindrecord":
            return MindRecordSource(root, split, max_image_pixels=max_image_pixels)
        case "digits":
            write_digits(root)
    classes = class_index(root, *dict.fromkeys((*splits, split))) if split else class_index(root, "")
    return FolderSource(root, split, classes, max_image_pixels=max_image_pixels)


def create_dataset(
    name: str = "",
    root: str | Path | None = None,
    split: str = "train",
    shuffle: bool = True,
    num_samples: int | None = None,
    num_shards: int | None = None,
    shard_id: int | None = None,
    num_parallel_workers: int | None = None,
    download: bool = False,
    num_aug_repeats: int = 0,
) -> Any:
    """Open a dataset as a MindSpore dataset, with MindCV's keywords.

    Args:
        name: Name as in `create_source`; with another name, `root` is read as a folder of images.
        root: Folder of the dataset.
        split: Split of the dataset.
        shuffle: Draw the samples in a new order at each pass, by the seed of `mindspore.dataset.config`. All
            shards then have equally many samples, a few of which occur in two shards if the number of samples
            is not divisible. Otherwise every sample is in exactly one shard.
        num_samples: Use only this many samples in each shard.
        num_shards: Number of shards.
        shard_id: Number of the shard, from 0.
        num_parallel_workers: Threads; by default, and at most, the machine's cores.
        download: Download MNIST, CIFAR-10 or CIFAR-100 to `root` where its files are missing, or to a folder
            in the user's cache where `root` is None, see `mindcv.data.dataset_download`.
        num_aug_repeats: Repeated augmentation: the number of times that each sample of a pass occurs. 0 and 1
            switch it off. A pass does not become longer, see `epoch_indices`.

    Returns:
        MindSpore dataset with the columns image (uint8: the bytes of a file, or pixels ``[H, W, C]``) and
        label (int32); its `num_classes()` is the dataset's.

    Raises:
        UserError: If the dataset cannot be opened or downloaded, a shard would have no samples, or samples
            cannot be repeated.
    """
    if (num_shards is None) != (shard_id is None):
        raise ContradictionError(
            f"num_shards={num_shards} and shard_id={shard_id} go together: give both or neither"
        )
    rank, size = shard_id or 0, num_shards or 1
    if num_parallel_workers is not None:
        AT_LEAST_ONE.check(num_parallel_workers=num_parallel_workers)
    source = _open_source(name, root, split, download=download)
    if num_aug_repeats > 1 and not isinstance(source, StreamSource):
        raise UserError(
            f"num_aug_repeats={num_aug_repeats} needs samples in an order that Python draws, and MindSpore "
            f"draws that of {source.origin} itself: set num_aug_repeats to 0"
        )
    total = count_samples(len(source), None if num_samples is None else num_samples * size)
    if not 0 <= rank < size <= total:
        raise UserError(
            f"shard_id={rank} of num_shards={size} has none of the {total} samples in {source.origin}: "
            "use fewer shards"
        )
    planner = EpochPlanner(
        total=len(source),
        seed=ds.config.get_seed(),
        rank=rank,
        world_size=size,
        is_training=shuffle,
        shuffle=shuffle,
        num_samples=total,
        aug_repeats=num_aug_repeats or 1,
    )
    dataset = source.dataset(
        planner.indices(0),
        later=planner.indices if shuffle else None,
        num_parallel_workers=usable_workers(num_parallel_workers),
    )
    # MindSpore knows the classes of its own datasets only; notebooks written for MindCV ask for them.
    dataset.num_classes = lambda: len(source.classes)
    dataset.get_class_indexing = lambda: {name: index for index, name in enumerate(source.classes)}
    return dataset


def _open_source(name: str, root: str | Path | None, split: str, *, download: bool) -> Source:
    if root is not None and not _is_known(name) and (Path(root) / split).is_dir():
        logger.warning("dataset=%r is unknown: %s is read as a folder of images", name, Path(root) / split)
        name = ""
    if not download:
        return create_source(name, root, split)
    found = find_dataset(name).name
    if found == "imagenet":
        raise UserError("download=True: imagenet is not downloaded: get it from https://image-net.org")
    if found not in DOWNLOADS:
        try:
            return create_source(name, root, split)
        except UserError as error:
            raise UserError(f"download=True: {found} is not downloaded. {error}") from None
    try:
        return create_source(name, default_folder(found) if root is None else root, split)
    except UserError:  # files are missing
        return create_source(name, download_dataset(found, root), split)


def _is_known(name: str) -> bool:
    try:
        find_dataset(name)
    except UnknownNameError:
        return False
    return True
