"""A finding: what was expected, what the device computed, and how far apart they may be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Finding", "compare", "same"]

SHOWN = 4  # numbers of an array in the report


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One comparison.

    Args:
        what: What was computed.
        expected: The expected value, as text.
        got: What the device computed, as text.
        difference: How far apart they are; NaN if the device computed NaN.
        tolerance: Largest difference that passes.
    """

    what: str
    expected: str
    got: str
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance; NaN is not."""
        return bool(self.difference <= self.tolerance)


def compare(
    what: str, expected: ArrayLike, got: ArrayLike, tolerance: float, *, elementwise: bool = False
) -> Finding:
    """Compare numbers.

    Args:
        what: What was computed.
        expected: The expected numbers.
        got: What the device computed, of the same shape.
        tolerance: Largest relative difference that passes.
        elementwise: Divide each difference by its own expected number instead of by the largest one.

    Raises:
        ValueError: If the shapes differ.
    """
    wanted, found = np.asarray(expected, np.float64), np.asarray(got, np.float64)
    if wanted.shape != found.shape:
        raise ValueError(f"{what}: shape {found.shape} instead of {wanted.shape}")
    scale = np.abs(wanted) if elementwise else np.abs(wanted).max()
    difference = float(np.max(np.abs(found - wanted) / np.maximum(scale, 1e-30)))
    return Finding(
        what=what, expected=_text(wanted), got=_text(found), difference=difference, tolerance=tolerance
    )


def same(what: str, expected: object, got: object) -> Finding:
    """Compare values that must be equal."""
    return Finding(
        what=what,
        expected=str(expected),
        got=str(got),
        difference=float(expected != got),
        tolerance=0.0,
    )


def _text(values: np.ndarray) -> str:
    shown = " ".join(f"{value:.6g}" for value in values.ravel()[:SHOWN])
    return shown if values.size <= SHOWN else f"{shown} ... ({values.size} numbers)"
