"""CIFAR-10, CIFAR-100, MNIST and Fashion-MNIST from the files that their authors publish."""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindcv.data.sources.source import ArraySource
from mindcv.errors import UserError

__all__ = ["read_cifar10", "read_cifar100", "read_fashion_mnist", "read_mnist"]

CIFAR_PIXELS = 3 * 32 * 32
MAX_BYTES = 2**30  # of an IDX file; MNIST has 47 MB
IDX_IMAGES, IDX_LABELS = 2051, 2049  # the magic numbers: unsigned bytes in 3 and in 1 dimension
FASHION = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def read_cifar10(root: str | Path, split: str) -> ArraySource:
    """Read CIFAR-10's binary version: 50,000 training and 10,000 test images, 32 x 32, RGB.

    Args:
        root: Folder with ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, or the folder
            above it.
        split: ``train``, or ``val`` or ``test`` for the test images.

    Raises:
        UserError: If a file is missing or damaged, or there is no such split.
    """
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if _is_training(split) else ["test_batch.bin"]
    return _read_cifar(Path(root), names, "cifar-10-batches-bin", "batches.meta.txt", classes=10)


def read_cifar100(root: str | Path, split: str) -> ArraySource:
    """Read CIFAR-100's binary version: 50,000 training and 10,000 test images, 32 x 32, RGB, 100 fine labels.

    Args:
        root: Folder with ``train.bin`` and ``test.bin``, or the folder above it.
        split: ``train``, or ``val`` or ``test`` for the test images.

    Raises:
        UserError: If a file is missing or damaged, or there is no such split.
    """
    names = ["train.bin" if _is_training(split) else "test.bin"]
    return _read_cifar(Path(root), names, "cifar-100-binary", "fine_label_names.txt", classes=100)


def read_mnist(root: str | Path, split: str) -> ArraySource:
    """Read MNIST: 60,000 training and 10,000 test digits, 28 x 28, grey.

    Args:
        root: Folder with the files ``{train,t10k}-{images-idx3,labels-idx1}-ubyte``, with or without .gz.
        split: ``train``, or ``val`` or ``test`` for the test images.

    Raises:
        UserError: If a file is missing or damaged, or there is no such split.
    """
    return _read_idx(Path(root), split, [str(digit) for digit in range(10)])


def read_fashion_mnist(root: str | Path, split: str) -> ArraySource:
    """Read Fashion-MNIST, which has the format of MNIST: see `read_mnist`."""
    return _read_idx(Path(root), split, FASHION)


def _is_training(split: str) -> bool:
    if split not in ("train", "val", "test"):
        raise UserError(f"split={split!r} is unknown: this dataset has train, and test, also called val")
    return split == "train"


def _read_cifar(root: Path, names: Sequence[str], archive: str, meta: str, *, classes: int) -> ArraySource:
    folder = root if (root / names[0]).is_file() else root / archive
    label_bytes = 1 if classes == 10 else 2  # CIFAR-100 puts the coarse label before the fine one
    records = []
    for name in names:
        path = folder / name
        if not path.is_file():
            raise UserError(
                f"{path} is missing: unpack the archive {archive.removesuffix('-batches-bin')} of "
                f"https://www.cs.toronto.edu/~kriz/cifar.html, in its binary version, in {root}"
            )
        data = np.fromfile(path, np.uint8)
        if data.size == 0 or data.size % (label_bytes + CIFAR_PIXELS):
            raise UserError(f"{path} is damaged: {data.size} bytes are not a multiple of an image's size")
        records.append(data.reshape(-1, label_bytes + CIFAR_PIXELS))
    rows = np.concatenate(records)
    labels = rows[:, label_bytes - 1].astype(np.int32)
    if labels.max() >= classes:
        raise UserError(f"{folder / names[0]} is damaged: it holds the label {labels.max()}")
    images = rows[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return ArraySource(
        str(folder), _class_names(folder / meta, classes), labels, np.ascontiguousarray(images)
    )


def _class_names(path: Path, count: int) -> list[str]:
    """Return the names in a dataset's own list, or numbers if it has none."""
    try:
        names = path.read_text(encoding="utf-8").split() if path.is_file() else []
    except UnicodeDecodeError:
        raise UserError(f"{path} is damaged: it is not a text") from None
    return names if len(names) == count else [str(label) for label in range(count)]


def _read_idx(root: Path, split: str, classes: Sequence[str]) -> ArraySource:
    prefix = "train" if _is_training(split) else "t10k"
    images = _read_idx_file(root / f"{prefix}-images-idx3-ubyte", IDX_IMAGES)
    labels = _read_idx_file(root / f"{prefix}-labels-idx1-ubyte", IDX_LABELS)
    if len(images) != len(labels) or labels.max() >= len(classes):
        raise UserError(
            f"{root} is damaged: {len(images)} {prefix} images have {len(labels)} labels up to {labels.max()}"
        )
    return ArraySource(str(root), classes, labels.astype(np.int32), images[..., np.newaxis])


def _read_idx_file(path: Path, magic: int) -> NDArray[np.uint8]:
    """Read an array in the IDX format: a magic number, the size of each dimension (big-endian), the bytes."""
    packed = path.with_name(path.name + ".gz")
    if not path.is_file() and not packed.is_file():
        raise UserError(
            f"{path} is missing, and so is {packed.name}: put the dataset's files in {path.parent}"
        )
    dimensions = magic % 256
    header = 4 * (1 + dimensions)
    try:
        with path.open("rb") if path.is_file() else gzip.open(packed) as file:
            found, *shape = np.frombuffer(file.read(header).ljust(header, b"\0"), ">i4").tolist()
            # Not more than that: a packed file may hold any number of zeros.
            valid = found == magic and min(shape) >= 1 and math.prod(shape) <= MAX_BYTES
            data = file.read(math.prod(shape) + 1) if valid else b""
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{packed} is damaged: {error}") from None
    if not valid or len(data) != math.prod(shape):
        raise UserError(f"{path} is damaged: it is not an intact IDX file of {dimensions} dimensions")
    return np.frombuffer(data, np.uint8).reshape(shape)
