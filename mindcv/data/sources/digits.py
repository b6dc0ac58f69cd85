"""scikit-learn's 1,797 handwritten digits as a small image folder: an experiment without a download."""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from mindcv.errors import UserError

__all__ = ["write_digits"]

SPLITS = ("train", "val")
EVERY = 5  # one digit in five validates: 360 of 1,797


def write_digits(root: str | Path) -> None:
    """Write the digits as grey 8 x 8 PNG files below ``root/{train,val}/{0..9}``, unless they are there.

    1,437 are for training and 360 for validation, always the same ones, stratified by class. A split is
    complete or does not exist, even if a process is killed, and several processes may call this at the same
    time.

    Args:
        root: Folder of the dataset, made if need be.

    Raises:
        UserError: If scikit-learn, which brings the digits, is not installed, or the folder cannot be
            written.
    """
    root = Path(root)
    if all((root / split).is_dir() for split in SPLITS):
        return
    images, labels = _load_digits()
    order = np.random.RandomState(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    validate = np.zeros(len(labels), bool)
    validate[order[::EVERY]] = True
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".digits-", dir=root) as unfinished:
            for split, members in zip(SPLITS, (~validate, validate), strict=True):
                _write_split(Path(unfinished, split), images, labels, np.flatnonzero(members))
                _publish(Path(unfinished, split), root / split)
    except OSError as error:
        raise UserError(
            f"{error.filename2 or error.filename or root} cannot be written ({error.strerror}), and "
            f"dataset=digits writes its images to data_dir={root}: give another folder"
        ) from None


def _load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return pixels from 0 to 255 of shape ``[N, 8, 8]``, and labels."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError("dataset=digits comes from scikit-learn: pip install scikit-learn") from None
    pixels, labels = load_digits(return_X_y=True)
    return np.rint(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), labels


def _write_split(folder: Path, images: np.ndarray, labels: np.ndarray, members: np.ndarray) -> None:
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    for index in members:
        Image.fromarray(images[index]).save(folder / str(labels[index]) / f"{index:04d}.png")


def _publish(unfinished: Path, folder: Path) -> None:
    """Rename a finished folder to its final name, unless another process was first."""
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
