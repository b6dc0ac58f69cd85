"""Atomic writing: a file is complete or does not exist."""

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["write_atomically"]


@contextmanager
def write_atomically(*paths: Path) -> Iterator[list[Path]]:
    """Yield temporary files, which are renamed if the block ends without an error.

    At any moment each name belongs to the complete old file or the complete new one, also after a power
    failure. What a killed writer of the first file has left is removed by the next one.

    Args:
        paths: Final names, all in one existing folder. Files are renamed in this order.

    Yields:
        The temporary file of each: beside its final place, with the same file name.

    Raises:
        OSError: If one cannot be written, for example because the disk is full.
    """
    folder, prefix = paths[0].parent, f".{paths[0].name}."
    _remove_leftovers(folder, prefix)
    with _own_folder(folder, prefix) as partial:
        written = [partial / path.name for path in paths]
        yield written
        for temporary, path in zip(written, paths, strict=True):
            _flush(temporary)
            temporary.replace(path)
    _flush(folder)  # the renames, too


@contextmanager
def _own_folder(folder: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder that is locked as long as this process writes into it, and removed afterwards."""
    while True:
        own = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
        with _locked(own, wait=True):
            if own.is_dir():  # else another writer has found it before it was locked
                try:
                    yield own
                finally:
                    shutil.rmtree(own, ignore_errors=True)
                return


def _remove_leftovers(folder: Path, prefix: str) -> None:
    for leftover in folder.glob(f"{glob.escape(prefix)}????????"):  # as mkdtemp names them
        with _locked(leftover, wait=False) as is_locked:
            if is_locked:
                shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Lock a folder; yields False where it is not one, is locked, or the file system has no locks."""
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        is_locked = False
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            is_locked = True
        yield is_locked
    finally:
        os.close(number)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
