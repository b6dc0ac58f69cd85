"""Output files that are complete and verified, or do not exist."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mindcv.files.atomic import write_atomically
from mindcv.files.outputs import unwritable

__all__ = ["finished_files"]


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
        raise unwritable(paths[0], error, option="output") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
