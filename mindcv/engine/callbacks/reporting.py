"""The output of a run while it trains: a progress bar, a table, a curve, and a line per epoch."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mindcv.engine.callbacks.run_callback import RunCallback, run_state
from mindcv.engine.epoch_result import EpochResult
from mindcv.engine.history import CURVE, TABLE, draw_curve, write_table
from mindcv.engine.run_state import RunState

__all__ = ["BadImagesReport", "EpochReport", "HistoryTable", "LearningCurve", "ProgressBar"]

logger = logging.getLogger(__name__)


class ProgressBar(RunCallback):
    """Shows a bar per epoch with the latest loss and learning rate, if standard error is a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.bar = None

    def on_train_epoch_begin(self, run_context: Any) -> None:
        """Show a new bar."""
        run = run_state(run_context)
        self.bar = tqdm(
            total=run.data.steps_per_epoch,
            initial=run.batch,
            desc=f"epoch {run.epoch}/{run.epochs}",
            unit="step",
            leave=False,
            disable=None,  # only where there is a terminal
        )

    def on_train_step_end(self, run_context: Any) -> None:
        """Move the bar."""
        run = run_state(run_context)
        if self.bar is not None:
            self.bar.update(run.data.steps_per_epoch if run.sinks else 1)

    def on_interval(self, run: RunState) -> None:
        """Show the latest loss and learning rate."""
        if self.bar is not None and run.interval is not None:
            self.bar.set_postfix(loss=f"{run.interval.losses[-1]:.3f}", lr=f"{run.interval.lr:.3g}")

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Remove the bar."""
        self.close()

    def on_restart(self, run: RunState) -> None:
        """Remove the bar of an epoch that did not end."""
        self.close()

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class _ResultsFile(RunCallback):
    """Keeps a file about the finished epochs up to date; a warning replaces one that cannot be written.

    Args:
        path: The file.
        write: Writes the epochs to a path; raises OSError where it cannot.
    """

    def __init__(self, path: Path, write: Callable[[Sequence[EpochResult], Path], None]) -> None:
        super().__init__()
        self.path = path
        self.write = write
        self.failed = False

    def on_restart(self, run: RunState) -> None:
        """Write the epochs that were restored."""
        self.on_epoch_result(run)

    def on_epoch_result(self, run: RunState) -> None:
        """Write the epochs so far."""
        if not run.results:
            return
        try:
            self.write(run.results, self.path)
        except OSError as error:
            if not self.failed:  # one warning is enough until it works again
                reason = error.strerror or error
                logger.warning("%s cannot be written (%s): training continues without it", self.path, reason)
            self.failed = True
        else:
            self.failed = False


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
