"""Hands the results of a run, and the predictions of its best epoch, to whatever reports them at the end."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindcv.engine.callbacks.run_callback import RunCallback, run_state
from mindcv.engine.epoch_result import EpochResult
from mindcv.engine.predictions import PredictionRecorder, Predictions
from mindcv.engine.run_state import RunState

__all__ = ["FinalReport", "ReportedEpoch"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportedEpoch:
    """The epoch whose predictions are reported.

    Args:
        result: Its result.
        predictions: The predictions of the validation that ranks it.
    """

    result: EpochResult
    predictions: Predictions


class FinalReport(RunCallback):
    """Reports a run when training ends; a warning replaces a report that fails.

    The predictions are those of the best epoch that this process has trained. They were kept during its
    validation: no image is evaluated again. Where no epoch was trained, nothing is reported.

    Args:
        path: The file, for the message.
        write: Writes the report, on rank 0 only; gets None where nothing was validated.
        recorder: Has the predictions of the validation that ran last; None where none is recorded.
        combine: Adds up arrays over all ranks.
    """

    def __init__(
        self,
        path: str | Path,
        write: Callable[[RunState, ReportedEpoch | None], None],
        recorder: PredictionRecorder | None = None,
        combine: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda values: values,
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.write = write
        self.recorder = recorder
        self.combine = combine
        self.trained = False
        self.best: tuple[EpochResult, NDArray[np.float64]] | None = None

    def on_restart(self, run: RunState) -> None:
        """Forget an epoch that a rollback has undone."""
        if self.best is not None and self.best[0].epoch > run.start.epoch:
            self.best = None

    def on_epoch_result(self, run: RunState) -> None:
        """Keep the predictions of the best epoch."""
        self.trained = True
        result = run.results[-1]
        if self.recorder is None or result.score is None:
            return
        if self.best is None or result.score > (self.best[0].score or 0.0):
            self.best = result, self.recorder.recorded()

    def on_train_end(self, run_context: Any) -> None:
        """Gather the predictions of all ranks, and write the report."""
        run, epoch = run_state(run_context), None
        if not self.trained:
            return
        if self.recorder is not None and self.best is not None:
            result, recorded = self.best
            epoch = ReportedEpoch(result=result, predictions=self.recorder.gather(recorded, self.combine))
        if not run.is_main:
            return
        try:
            self.write(run, epoch)
        except Exception as error:  # a report is never worth a run
            reason = f"{type(error).__name__}: {error}"
            logger.warning("%s cannot be written (%s): everything else is complete", self.path, reason)
