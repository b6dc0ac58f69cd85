"""Datasets under the name of MindCV's module."""

from pathlib import Path

from mindcv.data.dataset_download import (
    Cifar10Download,
    Cifar100Download,
    MnistDownload,
    get_dataset_download_root,
)
from mindcv.data.datasets import create_dataset, create_source
from mindcv.data.distributed_sampler import RepeatAugSampler

__all__ = [
    "Cifar10Download",
    "Cifar100Download",
    "MnistDownload",
    "RepeatAugSampler",
    "create_dataset",
    "get_dataset_download_root",
    "get_dataset_size",
]


def get_dataset_size(name: str, root: str | Path | None, split: str) -> int:
    """Return the number of samples in a split of a dataset.

    Args:
        name: Name as in `create_source`.
        root: Folder of the dataset.
        split: Split of the dataset.

    Raises:
        UserError: The dataset cannot be opened.
    """
    return len(create_source(name, root, split))
