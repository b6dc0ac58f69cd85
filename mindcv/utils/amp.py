"""Mixed precision under MindCV's name."""

import re
from collections.abc import Sequence

import mindspore as ms
from mindspore import mint, nn

from mindcv.errors import UserError, did_you_mean
from mindcv.step import mixed_precision

__all__ = ["AMP_BLACK_LIST", "AMP_WHITE_LIST", "auto_mixed_precision", "cast_list_types"]

LEVELS = ("O0", "O1", "O2", "O3")
AMP_WHITE_LIST = (  # what MindCV computes in float16 at O1
    *(nn.Dense, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.Conv1dTranspose, nn.Conv2dTranspose, nn.Conv3dTranspose),
)
AMP_BLACK_LIST = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)  # and keeps in float32 at O2
NAMESPACES = {"nn": nn, "mint.nn": mint.nn}


def auto_mixed_precision(
    network: nn.Cell, amp_level: str = "O0", amp_cast_list: str | Sequence[type[nn.Cell]] | None = None
) -> None:
    """Make a network compute partly in float16, in place; its parameters stay float32.

    Args:
        network: A network that has not run yet.
        amp_level: ``O0`` changes nothing; ``O1`` computes convolutions and dense layers in float16; ``O2``
            everything but batch normalization; ``O3`` everything.
        amp_cast_list: Classes of cells that replace these, such as ``"[nn.Conv2d, nn.Dense]"`` or a list of
            classes: those that ``O1`` computes in float16, or those that ``O2`` keeps in float32. ``O0`` and
            ``O3`` make no choice among cells and do not use it.

    Raises:
        UserError: An unknown level, or a name in the list that is not a cell of MindSpore.
    """
    if amp_level not in LEVELS:
        hint = did_you_mean(str(amp_level), LEVELS) or f": give one of {', '.join(LEVELS)}"
        raise UserError(f"amp_level={amp_level!r} is unknown{hint}")
    chosen = cast_list_types(amp_cast_list)
    if not chosen or amp_level in ("O0", "O3"):
        mixed_precision(network, amp_level)
        return
    cells = [cell for _, cell in network.cells_and_names() if isinstance(cell, chosen)]
    others, theirs = (ms.float32, ms.float16) if amp_level == "O1" else (ms.float16, ms.float32)
    network.to_float(others)
    for cell in cells:
        cell.to_float(theirs)


def cast_list_types(amp_cast_list: str | Sequence[type[nn.Cell]] | None) -> tuple[type[nn.Cell], ...]:
    """Return the classes that an ``amp_cast_list`` names; a string is read, never evaluated.

    Args:
        amp_cast_list: A string such as ``"[nn.Conv2d, mint.nn.Linear]"``, a list of classes, or None.

    Raises:
        UserError: An entry is not a cell of MindSpore.
    """
    if amp_cast_list is None:
        return ()
    entries: Sequence[str | type[nn.Cell]] = (
        re.findall(r"[\w.]+", amp_cast_list) if isinstance(amp_cast_list, str) else amp_cast_list
    )
    return tuple(_cell_class(entry) for entry in entries)


def _cell_class(entry: str | type[nn.Cell]) -> type[nn.Cell]:
    if isinstance(entry, str):
        namespace, _, name = entry.rpartition(".")
        found = getattr(NAMESPACES.get(namespace), name, None)
    else:
        found = entry
    if not (isinstance(found, type) and issubclass(found, nn.Cell)):
        raise UserError(f"amp_cast_list: unknown cell {entry!r}: name cells like [nn.Conv2d, nn.Dense]")
    return found
