"""Output files that a user names, checked before the work begins; without MindSpore."""

import tempfile
from pathlib import Path

from mindcv.errors import UserError

__all__ = ["check_output_file", "unwritable"]


def check_output_file(path: Path, suffix: str, *, option: str) -> None:
    """Check that an output file can be written.

    Args:
        path: The file that is to be written.
        suffix: Required extension, such as ``.html``.
        option: Name of the option that gives it, for messages.

    Raises:
        UserError: If it ends otherwise, its folder is missing or cannot be written, or a folder has its name.
    """
    if path.suffix != suffix:
        raise UserError(f"{option}={path} does not end in {suffix}, as its format's files do: rename it")
    if not path.parent.is_dir():
        raise UserError(f"{option}={path} has no folder {path.parent}: make it, or give another path")
    if path.is_dir():
        raise UserError(f"{option}={path} is a folder: give the path of a file")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise unwritable(path, error, option=option) from None


def unwritable(path: Path, error: OSError, *, option: str) -> UserError:
    """Return the error about an output file that cannot be written."""
    return UserError(f"{option}={path} cannot be written ({error.strerror}): free or change the folder")
