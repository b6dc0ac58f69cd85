"""Ranges of numbers that the options and the factories both check, with the remedy for a value outside."""

from dataclasses import dataclass
from math import inf

from mindcv.errors import UserError

__all__ = [
    "AT_LEAST_ONE",
    "AT_LEAST_ZERO",
    "EPSILON",
    "IMAGE_PIXELS",
    "LAYER_DECAY",
    "LR",
    "MAX_IMAGE_PIXELS",
    "MOMENTUM",
    "POSITIVE",
    "PROBABILITY",
    "WARMUP_FACTOR",
    "Range",
    "out_of_range",
]


@dataclass(frozen=True)
class Range:
    """The finite numbers from `low` to `high`, both included; NaN and infinity are outside.

    Args:
        low: Smallest number.
        high: Largest number.
        remedy: What to do about a number outside, such as "give 1 or more".
    """

    low: float
    high: float
    remedy: str

    def __contains__(self, value: float) -> bool:
        """Return whether a number is in the range."""
        return self.low <= value <= self.high and value < inf

    def check(self, **values: float | None) -> None:
        """Check the values of keywords; None is not checked.

        Raises:
            UserError: If a value is outside the range.
        """
        for key, value in values.items():
            if value is not None and value not in self:
                raise UserError(out_of_range(key, value, self.remedy))


def out_of_range(key: str, value: object, remedy: str) -> str:
    """Return the message about a value outside its range."""
    return f"{key}={value} is out of range: {remedy}"


AT_LEAST_ONE = Range(1, inf, "give 1 or more")
AT_LEAST_ZERO = Range(0, inf, "give 0 or more")
POSITIVE = Range(1e-6, inf, "give a positive number")
PROBABILITY = Range(0, 1, "give a probability from 0 to 1")
LR = Range(1e-30, inf, "give a positive number")
WARMUP_FACTOR = Range(0, 1, "give a fraction of lr from 0 to 1")
MOMENTUM = Range(0, 0.99999, "give a weight from 0 to below 1")
EPSILON = Range(1e-30, 1, "give a small positive number")
IMAGE_PIXELS = Range(1, 2**30, "give 1 to 1073741824 pixels, the most that MindSpore decodes")
MAX_IMAGE_PIXELS = 2**26  # 8192 x 8192: with every kind of file, decoding takes less than 1 GB
LAYER_DECAY = Range(1e-6, 1, "give a factor above 0 and up to 1")
