"""Files whose bytes nothing vouches for: no checksum of this project, of MindSpore or in the file's name."""

import hashlib
import logging
import re
from pathlib import Path

__all__ = ["ONCE", "states_checksum", "tell_unprotected"]

logger = logging.getLogger(__name__)

ONCE = "once"  # attribute of a log record that a program prints only the first time

# PyTorch's hub and MindCV put the start of a file's SHA-256 into its name: mnasnet_100-1bcf43f8.ckpt.
_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z.]+", re.ASCII)


def tell_unprotected(path: Path, remedy: str = "'mindcv add-checksum' adds one") -> None:
    """Log that damage to a file would not be noticed, unless its name states its checksum.

    Args:
        path: A file that has been read and holds no checksum.
        remedy: How it can get one.
    """
    if not states_checksum(path):
        logger.info(
            "%s: has no checksum, so damage to its values cannot be noticed: %s",
            path,
            remedy,
            extra={ONCE: "no checksum"},
        )


def states_checksum(path: Path) -> bool:
    """Return whether a file's name ends with the first digits of its SHA-256, and rightly."""
    stated = _NAME.search(path.name)
    if stated is None or stated.end() != len(path.name):
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest().startswith(stated[1])
