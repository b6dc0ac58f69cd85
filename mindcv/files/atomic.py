"""Atomic writing: a file is complete, or it is not there at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole_files"]


@contextmanager
def whole_files(*paths: Path) -> Iterator[list[Path]]:
    """Files to write, which get their names when the block ends without an error.

    At any moment each name belongs to the old file or to the new one, whole, also after a power failure.

    Args:
        paths: Final names, in folders that exist, all in one folder. They are given in this order.

    Yields:
        Where to write each of them: beside the final place, under the same name.

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
    _flush(folder)  # the names, too


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
