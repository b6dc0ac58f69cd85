"""Inputs that a user names and that are missing; found without MindSpore, whose import takes seconds."""

from pathlib import Path

from mindcv.errors import UserError

__all__ = [
    "check_weights_file",
    "existing_folder",
    "expected_folder",
    "files_ending",
    "is_same_file",
    "size_of",
    "unreadable",
]

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


def files_ending(folder: Path, suffix: str) -> list[Path]:
    """Return the files of a folder whose names end with a suffix, sorted; none where there is no folder.

    Unlike `Path.glob`, it does not take a folder that cannot be read for an empty one.

    Raises:
        UserError: If the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(suffix))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from None


def is_same_file(path: str | Path, other: str | Path) -> bool:
    """Return whether two paths are those of one file, which exists."""
    try:
        return Path(path).samefile(other)
    except OSError:
        return False


def unreadable(folder: str | Path, error: OSError) -> UserError:
    """Return the error about a folder that cannot be read."""
    return UserError(f"{folder} cannot be read ({error.strerror}): check the path and its permissions")


def size_of(path: str | Path) -> str:
    """Return the size of a file in words, also where there is none."""
    try:
        return f"{Path(path).stat().st_size} bytes"
    except OSError as error:
        return f"no size ({error.strerror})"
