"""Figures for files: matplotlib is imported where one is drawn, and what it logs then is of no use here."""

from typing import TYPE_CHECKING

from mindcv.errors import UserError
from mindcv.runtime.quiet import quiet_logging

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["create_figure"]


def create_figure(width: float, height: float) -> "Figure":
    """Return an empty figure.

    Args:
        width: In inches, of 100 pixels each.
        height: In inches.

    Raises:
        UserError: If matplotlib cannot be imported with the user's settings.
    """
    try:
        with quiet_logging():  # about its folder, where the user's home cannot be written
            from matplotlib.figure import Figure
    except (OSError, ValueError) as error:
        raise UserError(f"matplotlib cannot be used ({error}): check MPLBACKEND and MPLCONFIGDIR") from None
    return Figure(figsize=(width, height), layout="constrained")
