"""Atomic writing: a file is complete or does not exist."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["write_atomically"]


@contextmanager
def write_atomically(*paths: Path) -> Iterator[list[Path]]:
    """Yield temporary files, which are renamed if the block ends without an error.

    At any moment each name belongs to the complete old file or the complete new one, also after a power
    failure.

    Args:
        paths: Final names, all in one existing folder. Files are renamed in this order.

    Yields:
        The temporary file of each: beside its final place, with the same file name.

    Raises:
        OSError: If one cannot be written, for example because the disk is full.
    """
    folder = paths[0].parent
    with tempfile.TemporaryDirectory(prefix=f".{paths[0].name}.", dir=folder) as partial:
        written = [Path(partial) / path.name for path in paths]
        yield written
        for temporary, path in zip(written, paths, strict=True):
            _flush(temporary)
            temporary.replace(path)
    _flush(folder)  # the renames, too


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
