"""Output files that appear whole and checked, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mindcv.errors import UserError

__all__ = ["check_output", "finished_files"]


def check_output(path: Path, suffix: str) -> None:
    """Refuse an output file before any work is spent on it.

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
    """Files to write, which get their names when the block ends without an error.

    Args:
        paths: Final names, in folders that exist, all in one folder. They are given in this order.

    Yields:
        Where to write each of them: beside the final place, under the same name.

    Raises:
        UserError: If one cannot be written, for example because the disk is full.
    """
    folder = paths[0].parent
    try:
        with tempfile.TemporaryDirectory(prefix=f".{paths[0].name}.", dir=folder) as partial:
            written = [Path(partial) / path.name for path in paths]
            yield written
            for temporary, path in zip(written, paths, strict=True):
                temporary.chmod(0o666 & ~_umask())  # MindSpore leaves its files read-only
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
                temporary.replace(path)
    except OSError as error:
        raise _unwritable(paths[0], error) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"output={path} cannot be written ({error.strerror}): free or change the folder")
