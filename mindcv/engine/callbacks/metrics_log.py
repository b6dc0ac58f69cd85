"""The measurements of a run as JSON lines, for programs that watch it."""

import json
import os
from contextlib import suppress
from io import FileIO
from math import isfinite
from pathlib import Path
from typing import Any

from mindcv.engine.callbacks.output_file import OutputFile
from mindcv.engine.evaluate import Evaluation
from mindcv.engine.run_state import RunState

__all__ = ["METRICS", "MetricsLog"]

METRICS = "metrics.jsonl"
LONGEST = 4096  # bytes read at once from the end of the file; a line has about 300


class MetricsLog(OutputFile):
    """Appends a line of JSON to ``metrics.jsonl`` per interval and per epoch, and where a run goes on.

    Each has an ``event``: ``interval``, ``epoch``, or ``restart`` with the epoch and the step from which the
    run was resumed or rolled back; lines above it with a higher step no longer count. Only a line that was
    cut off by a kill or a full disk is removed.

    Args:
        folder: Receives the file.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(Path(folder) / METRICS)

    def on_restart(self, run: RunState) -> None:
        """Write from where the run goes on."""
        self._append("restart", epoch=run.start.epoch, batch=run.start.batch, step=_updates(run))

    def on_interval(self, run: RunState) -> None:
        """Write what was measured since the last interval."""
        interval = run.interval
        if interval is None:
            return
        finite = [loss for loss in interval.losses if isfinite(loss)]
        self._append(
            "interval",
            epoch=interval.epoch,
            batch=interval.batch,
            step=interval.step,
            lr=interval.lr,
            loss=sum(finite) / len(finite) if finite else None,
            images_per_second=round(interval.images_per_second, 2),
            waiting=None if interval.waiting is None else round(interval.waiting, 4),
        )

    def on_epoch_result(self, run: RunState) -> None:
        """Write the epoch's result."""
        result = run.results[-1]
        self._append(
            "epoch",
            epoch=result.epoch,
            step=result.step,
            lr=result.lr,
            loss=result.train_loss if isfinite(result.train_loss) else None,
            images_per_second=round(result.images_per_second, 2),
            train_seconds=round(result.train_seconds, 3),
            val_seconds=round(result.val_seconds, 3),
            overflows=result.overflows,
            validation=_scores(result.validation),
            ema_validation=_scores(result.ema_validation),
        )

    def _append(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, **values}, allow_nan=False)
        self.attempt(lambda: _append(self.path, f"{line}\n".encode()))


def _append(path: Path, line: bytes) -> None:
    with path.open("ab+", buffering=0) as file:
        _append_whole(file, line)


def _append_whole(file: FileIO, line: bytes) -> None:
    """Append a line or nothing, and remove one that a killed run has not completed."""
    end = _end_of_lines(file)
    if end != file.seek(0, os.SEEK_END):
        file.truncate(end)
    try:
        while line:  # a disk that becomes full takes a part
            line = line[file.write(line) :]
    except OSError:
        with suppress(OSError):
            file.truncate(end)
        raise


def _end_of_lines(file: FileIO) -> int:
    """Return the position behind the last complete line."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - LONGEST)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _updates(run: RunState) -> int:
    batches = run.start.epoch * run.data.steps_per_epoch + run.start.batch
    return batches // run.step.accumulation


def _scores(validation: Evaluation | None) -> dict[str, float | int | None] | None:
    if validation is None:
        return None
    return {
        "images": validation.images,
        "top1": validation.top1_accuracy,
        "top5": validation.top5_accuracy,
        "loss": validation.loss if isfinite(validation.loss) else None,
    }
