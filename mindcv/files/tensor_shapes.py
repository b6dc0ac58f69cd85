"""Comparison of a tensor's bytes with its shape, before anything is allocated for it."""

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np

__all__ = ["check_booleans", "check_length"]

LISTED = 8  # dimensions in a message


def check_length(shape: Sequence[int], itemsize: int, length: int) -> None:
    """Compare the bytes of a tensor with its shape.

    Args:
        shape: Dimensions, as a file states them.
        itemsize: Bytes of one element.
        length: Bytes that the file holds.

    Raises:
        ValueError: If they differ, or no array has such a shape; the message is a clause.
    """
    stated = f"[{', '.join(map(str, shape[:LISTED]))}{', ...' * (len(shape) > LISTED)}]"
    # A dimension of 0 makes the product 0, but NumPy limits the product of the others too.
    if any(dim < 0 for dim in shape) or prod(max(dim, 1) for dim in shape) * itemsize >= 1 << 62:
        raise ValueError(f"has the impossible shape {stated}")
    needed = prod(shape) * itemsize
    if needed != length:
        raise ValueError(f"holds {length} bytes, and its shape {stated} needs {needed}")


def check_booleans(pieces: Iterable[memoryview | bytes]) -> None:
    """Refuse a byte that is neither 0 nor 1, of which NumPy makes a value that is neither false nor true.

    Raises:
        ValueError: If there is one; the message is a clause.
    """
    if any(np.frombuffer(piece, np.uint8).max(initial=0) > 1 for piece in pieces):
        raise ValueError("holds bytes that are not booleans")
