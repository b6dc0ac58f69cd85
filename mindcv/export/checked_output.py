"""Output files that are complete and verified, or do not exist."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mindcv.errors import UserError
from mindcv.files.atomic import write_atomically

__all__ = ["check_output", "finished_files"]


def check_output(path: Path, suffix: str) -> None:
    """Check that an output file can be written, before the export starts.

    Args:
        path: The file that is to be written.
        suffix: Required extension, such as ``.onnx``.

    Raises:
        UserError: If it ends otherwise, its folder is missing or cannot be written, or a folder has its name.
    """
    if path.suffix != suffix:
        raise UserError(f"output={path} does not end in {suffix}, as its format's files do: rename it")
    if not path.parent.is_dir():
        raise UserError(f"output={path} has no folder {path.parent}: make it, or give another path")
    if path.is_dir():
        raise UserError(f"output={path} is a folder: give the path of a file")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from None


@contextmanager
def finished_files(*paths: Path) -> Iterator[list[Path]]:
    """Yield temporary files, renamed if the block ends without an error; see `write_atomically`.

    Raises:
        UserError: If one cannot be written, for example because the disk is full.
    """
    try:
        with write_atomically(*paths) as written:
            yield written
            for temporary in written:
                temporary.chmod(0o666 & ~_umask())  # MindSpore makes its files read-only
    except OSError as error:
        raise _unwritable(paths[0], error) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"output={path} cannot be written ({error.strerror}): free or change the folder")
