"""Datasets by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mindspore.dataset as ds

from mindcv.data.catalogue import find_dataset
from mindcv.data.sampling import count_samples, epoch_indices, shard_indices
from mindcv.data.sources.cifar_mnist import read_cifar10, read_cifar100, read_fashion_mnist, read_mnist
from mindcv.data.sources.digits import write_digits
from mindcv.data.sources.image_folder import FolderSource, class_index
from mindcv.data.sources.mindrecord import MindRecordSource
from mindcv.data.sources.source import Indices, Source
from mindcv.data.workers import usable_workers
from mindcv.errors import UserError

__all__ = ["create_dataset", "create_source"]


def create_source(
    name: str = "",
    root: str | Path | None = None,
    split: str = "train",
    *,
    splits: Sequence[str] = ("train", "val"),
) -> Source:
    """Open a dataset.

    Args:
        name: imagenet or image_folder (also ``""``), digits, cifar10, cifar100, mnist, fashion_mnist or
            mindrecord. digits is written to `root` if it is not there.
        root: Folder of the dataset.
        split: Part of the dataset: the name of a folder or file, or train or val.
        splits: The splits that must agree in their classes, training first, where they are folders: see
            `class_index`.

    Returns:
        Its samples in random access, with their classes.

    Raises:
        UserError: If the name is unknown, or what it needs is not in `root`.
    """
    info = find_dataset(name)
    if root is None:
        raise UserError(f"data_dir is not set: give the folder of dataset={info.name}")
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
            return MindRecordSource(root, split)
        case "digits":
            write_digits(root)
    classes = class_index(root, *dict.fromkeys((*splits, split))) if split else class_index(root, "")
    return FolderSource(root, split, classes)


def create_dataset(
    name: str = "",
    root: str | Path | None = None,
    split: str = "train",
    shuffle: bool = True,
    num_samples: int | None = None,
    num_shards: int | None = None,
    shard_id: int | None = None,
    num_parallel_workers: int | None = None,
) -> Any:
    """Open a dataset as a MindSpore dataset, with the keywords that MindCV has.

    Args:
        name: Name as in `create_source`.
        root: Folder of the dataset.
        split: Part of the dataset.
        shuffle: Draw the samples in a new order at each pass, by the seed of `mindspore.dataset.config`.
            Then shards have equally many samples, some of them twice if they do not divide. Otherwise every
            sample is in exactly one shard.
        num_samples: Use only this many samples, over all shards.
        num_shards: Number of shards.
        shard_id: Which of them.
        num_parallel_workers: Threads; by default, and at most, the machine's cores.

    Returns:
        MindSpore dataset with the columns image (uint8: the bytes of a file, or pixels ``[H, W, C]``) and
        label (int32); its `num_classes()` is the dataset's.

    Raises:
        UserError: If the dataset cannot be opened, or a shard would have no samples.
    """
    if (num_shards is None) != (shard_id is None):
        raise UserError(f"num_shards={num_shards} and shard_id={shard_id} go together: give both or neither")
    rank, size = shard_id or 0, num_shards or 1
    source = create_source(name, root, split)
    if not 0 <= rank < size <= count_samples(len(source), num_samples):
        raise UserError(
            f"shard_id={rank} of num_shards={size} has none of the "
            f"{count_samples(len(source), num_samples)} samples in {source.origin}: use fewer shards"
        )
    workers = usable_workers(num_parallel_workers)
    if shuffle:
        seed = ds.config.get_seed()

        def order(epoch: int) -> Indices:
            return epoch_indices(
                len(source), seed=seed, epoch=epoch, rank=rank, world_size=size, num_samples=num_samples
            )

        dataset = source.dataset(order(0), later=order, num_parallel_workers=workers)
    else:
        indices = shard_indices(len(source), rank=rank, world_size=size, num_samples=num_samples)
        dataset = source.dataset(indices, num_parallel_workers=workers)
    # MindSpore knows the classes of its own datasets only; notebooks written for MindCV ask for them.
    dataset.num_classes = lambda: len(source.classes)
    return dataset
