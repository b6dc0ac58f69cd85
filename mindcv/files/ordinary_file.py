"""Open files in folders that others can write to: a link there could lead to any file of this user."""

import errno
import os
import stat
from pathlib import Path

__all__ = ["open_ordinary", "ordinary_size"]


def open_ordinary(path: Path, flags: int) -> int:
    """Open a file and return its descriptor, unless it is a link, a pipe or another name of a file.

    Args:
        path: The file.
        flags: As for `os.open`, without O_TRUNC, which would empty the file before it is checked.

    Raises:
        OSError: If it is not an ordinary file, or cannot be opened.
    """
    try:
        number = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise (_not_ordinary(path) if error.errno == errno.ELOOP else error) from None
    state = os.fstat(number)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
        os.close(number)
        raise _not_ordinary(path)
    return number


def ordinary_size(path: Path) -> int:
    """Return the size of a file in bytes, 0 if it does not exist.

    Raises:
        OSError: If it is a link or not a file.
    """
    try:
        state = path.lstat()
    except FileNotFoundError:
        return 0
    if not stat.S_ISREG(state.st_mode):
        raise _not_ordinary(path)
    return state.st_size


def _not_ordinary(path: Path) -> OSError:
    return OSError(errno.ELOOP, f"{path.name} is a link or not an ordinary file")
