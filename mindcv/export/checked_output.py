"""Output files that appear complete and checked, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mindcv.errors import UserError
from mindcv.files.atomic import whole_files

__all__ = ["check_output", "finished_files"]


def check_output(path: Path, suffix: str) -> None:
    """Check an output file before the work starts.

    Args:
        path: The file that is to be written.
        suffix: What its name must end in, such as ``.onnx``.

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
    """Yield files to write, which get their names when the block ends without an error; see `whole_files`.

    Raises:
        UserError: If one cannot be written, for example because the disk is full.
    """
    try:
        with whole_files(*paths) as written:
            yield written
            for temporary in written:
                temporary.chmod(0o666 & ~_umask())  # MindSpore leaves its files read-only
    except OSError as error:
        raise _unwritable(paths[0], error) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"output={path} cannot be written ({error.strerror}): free or change the folder")
