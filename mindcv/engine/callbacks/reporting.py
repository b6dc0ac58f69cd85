"""The output of a run after each epoch: a table, a curve, and a line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mindcv.engine.callbacks.output_file import OutputFile
from mindcv.engine.callbacks.run_callback import RunCallback
from mindcv.engine.epoch_result import EpochResult
from mindcv.engine.history import CURVE, TABLE, draw_curve, write_table
from mindcv.engine.run_state import RunState
from mindcv.errors import printable
from mindcv.files.atomic import write_atomically

__all__ = ["BadImagesReport", "EpochReport", "HistoryTable", "LearningCurve", "Opening", "OptionsFile"]

OPTIONS_FILE = "config.yaml"


class _ResultsFile(OutputFile):
    """Keeps a file about the finished epochs up to date.

    Args:
        path: The file.
        write: Writes the epochs to a path; raises OSError or UserError where it cannot.
    """

    def __init__(self, path: Path, write: Callable[[Sequence[EpochResult], Path], None]) -> None:
        super().__init__(path)
        self.write = write

    def on_restart(self, run: RunState) -> None:
        """Write the epochs that were restored."""
        self.on_epoch_result(run)

    def on_epoch_result(self, run: RunState) -> None:
        """Write the epochs so far."""
        if run.results:
            self.attempt(lambda: self.write(run.results, self.path))


class HistoryTable(_ResultsFile):
    """Keeps ``history.csv`` up to date, and warns where it cannot be written.

    Args:
        folder: Receives the file.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(Path(folder) / TABLE, write_table)


class LearningCurve(_ResultsFile):
    """Keeps ``curve.png`` up to date, and warns where it cannot be written.

    Args:
        folder: Receives the file.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(Path(folder) / CURVE, draw_curve)


class OptionsFile(OutputFile):
    """Writes the options of a run to ``config.yaml`` when it begins, and warns where that cannot be written.

    Args:
        folder: Receives the file.
        text: Its content.
    """

    def __init__(self, folder: str | Path, text: str) -> None:
        super().__init__(Path(folder) / OPTIONS_FILE)
        self.text = text

    def on_train_begin(self, run_context: Any) -> None:
        """Write the file; a resumed run replaces it, as its options may have changed."""
        self.attempt(self._write)

    def _write(self) -> None:
        with write_atomically(self.path) as (partial,):
            partial.write_text(self.text, encoding="utf-8")


class Opening(RunCallback):
    """Prints what the run is about to do.

    Args:
        lines: The text.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__()
        self.lines = lines

    def on_train_begin(self, run_context: Any) -> None:
        """Print the lines."""
        for line in self.lines:
            tqdm.write(printable(line))


class EpochReport(RunCallback):
    """Prints a line after each epoch."""

    def on_epoch_result(self, run: RunState) -> None:
        """Print the epoch's result."""
        tqdm.write(f"epoch {run.epoch}/{run.epochs}  {run.results[-1]}")


class BadImagesReport(RunCallback):
    """Prints which images of this rank's share could not be read, after each epoch."""

    def on_epoch_result(self, run: RunState) -> None:
        """Print them, if there are any."""
        if bad_images := run.data.bad_images():
            tqdm.write(bad_images)
