"""Mixed precision: which cells of a network compute in half precision."""

from typing import get_args

import mindspore as ms
from mindspore import nn

from mindcv.choices import AmpLevel, HalfPrecision
from mindcv.errors import UserError, did_you_mean

__all__ = ["AMP_LEVELS", "mixed_precision"]

AMP_LEVELS: tuple[AmpLevel, ...] = get_args(AmpLevel)
TYPES = {"fp16": ms.float16, "bf16": ms.bfloat16}


def mixed_precision(network: nn.Cell, level: str, dtype: HalfPrecision = "fp16", *, device: str = "") -> None:
    """Make cells of a network compute in half precision; its parameters stay float32.

    * ``O0``: everything in float32.
    * ``O1``, ``auto``: convolutions and dense layers in half precision, batch normalisation in float32, and
      the rest in the type of its input.
    * ``O2``: everything in half precision but batch normalisation, in float32.
    * ``O3``: everything in half precision; batch normalisation takes and returns half precision, and has
      its statistics in float32.

    Args:
        network: A network that has not run yet.
        level: One of the above, MindSpore's and MindCV's names.
        dtype: Which half precision.
        device: The device that it will run on; a CPU has no bf16 convolutions.

    Raises:
        UserError: If a level or a type is unknown, or the device lacks the type.
    """
    if level not in AMP_LEVELS:
        hint = did_you_mean(level, AMP_LEVELS) or f": give one of {', '.join(AMP_LEVELS)}"
        raise UserError(f"amp_level={level!r} is unknown{hint}")
    if dtype not in TYPES:
        raise UserError(f"amp_dtype={dtype!r} is unknown: give one of {', '.join(TYPES)}")
    if level == "O0":
        return
    if dtype == "bf16" and device == "CPU":
        raise UserError(
            "amp_dtype=bf16 does not fit a CPU, where MindSpore has no bf16 convolutions: give fp16"
        )
    half = TYPES[dtype]
    cells = [cell for _, cell in network.cells_and_names()]
    if level in ("O2", "O3"):
        network.to_float(half)
    for cell in cells:
        if isinstance(cell, (nn.Conv2d, nn.Dense)):
            cell.to_float(half)
        # MindSpore's own operator accepts half precision, the one over several processes does not.
        elif isinstance(cell, nn.BatchNorm2d) and not (level == "O3" and type(cell) is nn.BatchNorm2d):
            cell.to_float(ms.float32)
