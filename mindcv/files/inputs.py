"""Inputs that a user names and that are missing; found without MindSpore, whose import takes seconds."""

from pathlib import Path

from mindcv.errors import UserError

__all__ = ["check_weights_file", "existing_folder", "expected_folder", "size_of"]

KINDS = {".ckpt": "checkpoint", ".onnx": "ONNX file"}


def check_weights_file(path: str | Path) -> None:
    """Check that a file of weights exists, if one is named.

    Args:
        path: The file, or an empty string.

    Raises:
        UserError: If it does not.
    """
    if path and not Path(path).exists():
        raise UserError(f"{path}: no such {KINDS.get(Path(path).suffix, 'file')}: check the path")


def existing_folder(root: str | Path | None, dataset_name: str, split: str) -> str | Path:
    """Return the folder of a dataset; it must be given, and that of an image folder must exist.

    Args:
        root: Folder of the dataset.
        dataset_name: Canonical name of the dataset, see `mindcv.data.create_source`.
        split: Split that the message names.

    Raises:
        UserError: If it is not given or does not exist.
    """
    if root is None:
        raise UserError(f"data_dir is not set: give the folder of dataset={dataset_name}")
    if dataset_name in ("imagenet", "image_folder") and not Path(root).is_dir():
        raise UserError(expected_folder(Path(root), split))
    return root


def expected_folder(root: Path, split: str) -> str:
    """Return the message about an image folder that is missing or has no images of a split."""
    missing = root if not root.is_dir() else root / split
    pattern = root / split / "CLASS" / "IMAGE.jpg"
    return f"{missing} is not a folder of images: data_dir should hold one folder per class, as in {pattern}"


def size_of(path: str | Path) -> str:
    """Return the size of a file in words, also where there is none."""
    try:
        return f"{Path(path).stat().st_size} bytes"
    except OSError as error:
        return f"no size ({error.strerror})"
