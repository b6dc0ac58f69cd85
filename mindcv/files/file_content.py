"""The content of files of weights, read whole."""

import os
import stat
from pathlib import Path

from mindcv.errors import UserError

__all__ = ["read_content"]


def read_content(path: Path, kind: str = "file") -> bytes:
    """Read a file of weights.

    Args:
        path: The file.
        kind: What messages call it.

    Raises:
        UserError: If it is missing, empty, not an ordinary file, larger than the memory, or cannot be read.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise UserError(f"{path}: not an ordinary file: give a {kind} on a disk")
        if found.st_size > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
            raise MemoryError
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such {kind}: check the path") from None
    except OSError as error:
        raise UserError(f"{path}: the {kind} cannot be read ({error.strerror}): check the path") from None
    except MemoryError:
        raise UserError(f"{path}: the {kind} is larger than the memory: use another one") from None
    if not content:
        raise UserError(f"{path}: the {kind} is empty: use another one")
    return content
