"""Inputs that a user names and that are missing; found without MindSpore, whose import takes seconds."""

from itertools import islice
from pathlib import Path

from mindcv.errors import UserError

__all__ = [
    "check_resumed_file",
    "check_weights_file",
    "existing_folder",
    "existing_split",
    "expected_folder",
    "files_ending",
    "is_same_file",
    "size_of",
    "unreadable",
]

MOST_ENTRIES = 1000  # of a folder that are searched for the one that was meant
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


def check_resumed_file(resume: str) -> None:
    """Check that the checkpoint to resume exists; without one, or with auto, there is nothing to check.

    Raises:
        UserError: If it does not.
    """
    if resume in ("", "auto"):
        return
    if not Path(resume).suffix and not Path(resume).exists():
        raise UserError(f"resume={resume}: no such checkpoint: give a file, or auto for the newest one")
    check_weights_file(resume)


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


def existing_split(root: str | Path | None, dataset_name: str, split: str) -> None:
    """Check that the folder of a dataset is given and, for an image folder, that it has a split.

    Args:
        root: Folder of the dataset.
        dataset_name: Canonical name of the dataset, see `mindcv.data.create_source`.
        split: Split that must be there.

    Raises:
        UserError: If it is not.
    """
    folder = Path(existing_folder(root, dataset_name, split))
    if dataset_name in ("imagenet", "image_folder") and not (folder / split).is_dir():
        raise UserError(expected_folder(folder, split))


def expected_folder(root: Path, split: str) -> str:
    """Return the message about an image folder that is missing or has no images of a split."""
    missing = root if not root.is_dir() else root / split
    nearby = _folder_nearby(root, split)
    if nearby:
        return f"{missing} is not a folder of images: did you mean data_dir={nearby}, which holds {split}?"
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


def _folder_nearby(root: Path, split: str) -> Path | None:
    """The folder one level above or below that has the split, if it is the only one."""
    try:
        if root.is_dir() and root.resolve().name == split:
            return root.parent if root.name == split else root.resolve().parent
        below = [entry / split for entry in islice(root.iterdir(), MOST_ENTRIES)] if split else []
        found = [folder.parent for folder in below if folder.is_dir()]
    except OSError:
        return None
    return found[0] if len(found) == 1 else None


def size_of(path: str | Path) -> str:
    """Return the size of a file in words, also where there is none."""
    try:
        return f"{Path(path).stat().st_size} bytes"
    except OSError as error:
        return f"no size ({error.strerror})"
