"""Batches of transformed images."""

from collections.abc import Sequence
from typing import Any

from mindcv.data.transforms import create_transforms
from mindcv.data.workers import usable_workers

__all__ = ["create_loader"]


def create_loader(
    dataset: Any,
    batch_size: int,
    drop_remainder: bool = False,
    is_training: bool = False,
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
        is_training: Which of an image folder's transforms are the default.
        transform: Operators on the image, as from `create_transforms`; by default those of an image folder.
        target_transform: Operator or operators on the label; by default none.
        num_parallel_workers: Threads; by default, and at most, the machine's cores.
        python_multiprocessing: Run operators written in Python in processes instead of threads.

    Returns:
        MindSpore dataset with the columns image ``[N, C, H, W]`` and label ``[N]``.
    """
    workers = usable_workers(num_parallel_workers)
    operators = create_transforms(is_training=is_training) if transform is None else list(transform)
    if target_transform is not None:
        dataset = dataset.map(
            target_transform,
            "label",
            num_parallel_workers=workers,
            python_multiprocessing=python_multiprocessing,
        )
    # One map for all operators: each map of its own would hand every image from thread to thread.
    dataset = dataset.map(
        operators, "image", num_parallel_workers=workers, python_multiprocessing=python_multiprocessing
    )
    return dataset.batch(batch_size, drop_remainder=drop_remainder, num_parallel_workers=workers)
