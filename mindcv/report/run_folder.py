"""The results of a run, read from its folder."""

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindcv.errors import UserError

__all__ = ["KEYS", "RunFolder", "read_history"]

TABLE = "history.csv"
LARGEST_TABLE = 64 * 1024**2  # bytes; 100,000 epochs take 10 MB
LONGEST_FIELD = 100  # characters of a number
KEYS = (
    *("epoch", "lr", "train_loss", "images_per_second", "train_seconds", "val_seconds"),
    *("val_loss", "top1", "top5", "ema_val_loss", "ema_top1", "ema_top5"),
)


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """A run.

    Args:
        name: What it is called in a comparison.
        columns: Values per epoch, by the names of history.csv.
        options: Its options; empty if they are not known.
    """

    name: str
    columns: dict[str, list[float | None]]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """The prefix of the columns that rank the epochs: those of the EMA model, if there is one."""
        return "ema_" if any(v is not None for v in self.columns["ema_top1"]) else ""

    @property
    def best(self) -> int | None:
        """The place of the epoch with the best top-1 accuracy; None if none was validated."""
        scores = self.columns[f"{self.prefix}top1"]
        scored = [i for i, score in enumerate(scores) if score is not None]
        return max(scored, key=lambda i: scores[i] or 0.0) if scored else None


def read_history(folder: Path) -> dict[str, list[float | None]]:
    """Read the table of a run's epochs, ``history.csv``.

    Args:
        folder: The folder that the run has written to.

    Returns:
        Values per epoch by the names of the columns; None where a value is missing or not finite.

    Raises:
        UserError: If the table is missing, has no epochs, or is no such table.
    """
    path = folder / TABLE
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise UserError(f"{path} is larger than {LARGEST_TABLE >> 20} MiB: it is not a table of epochs")
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): give a folder that train.py has written"
        ) from None
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{path} is not a table in UTF-8: give a folder that train.py has written") from None
    columns = {key: [_number(row.get(key)) for row in rows] for key in KEYS}
    if not rows or None in columns["epoch"]:
        raise UserError(f"{path} has no epochs: compare the run once its first epoch has ended")
    return columns


def _number(text: Any) -> float | None:
    if not isinstance(text, str) or len(text) > LONGEST_FIELD:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
