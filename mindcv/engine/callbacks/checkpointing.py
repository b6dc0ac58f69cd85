"""Checkpoints of a run: after its epochs, within them, and where it stops."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from mindcv.engine.callbacks.run_callback import RunCallback, run_state
from mindcv.engine.checkpoint import CheckpointManager
from mindcv.engine.run_state import RunState

__all__ = ["Checkpointing", "SaveSchedule"]


@dataclass(frozen=True, kw_only=True)
class SaveSchedule:
    """When the state is saved within an epoch.

    Args:
        every_updates: Updates between two checkpoints; 0 for none.
        every_seconds: Time between two checkpoints; 0 for none.
        look_every: Updates between two checks of the clock. Where there are several ranks, a check makes them
            wait for each other.
    """

    every_updates: int = 0
    every_seconds: float = 0.0
    look_every: int = 1


class Checkpointing(RunCallback):
    """Saves the state of a run, whose folder stays locked until it ends.

    Args:
        manager: Writes the files; None on a rank that writes none.
        schedule: When the state is saved within an epoch.
        any_rank: Returns whether a flag is raised on any rank, so that all ranks save at the same step.
    """

    def __init__(
        self,
        manager: CheckpointManager | None,
        schedule: SaveSchedule | None = None,
        *,
        any_rank: Callable[[bool], bool] = bool,
    ) -> None:
        super().__init__()
        self.manager = manager
        self.schedule = SaveSchedule() if schedule is None else schedule
        self.any_rank = any_rank
        self.saved_at = perf_counter()

    def __enter__(self) -> "Checkpointing":
        if self.manager is not None:
            self.manager.lock.acquire()
        return self

    def __exit__(self, *error: Any) -> None:
        if self.manager is not None:
            self.manager.lock.release()

    def on_train_begin(self, run_context: Any) -> None:
        """Start the clock."""
        self.saved_at = perf_counter()

    def on_restart(self, run: RunState) -> None:
        """Start the clock again."""
        self.saved_at = perf_counter()

    def on_train_step_end(self, run_context: Any) -> None:
        """Request a save if one is due."""
        run, schedule = run_state(run_context), self.schedule
        update = 0 if run.sinks else run.finished_update
        if not update or update % schedule.look_every:
            return
        due = bool(schedule.every_updates) and update % schedule.every_updates == 0
        if schedule.every_seconds:
            due = self.any_rank(due or perf_counter() - self.saved_at >= schedule.every_seconds)
        if due:
            run.request_save()

    def on_save(self, run: RunState) -> None:
        """Save the state as the run's latest one."""
        if self.manager is not None:
            self.manager.save(run.position(), run.updates)
        self.any_rank(False)  # no rank continues, or ends, before the file is written
        self.saved_at = perf_counter()

    def on_epoch_result(self, run: RunState) -> None:
        """Save the epoch."""
        if self.manager is not None:
            result = run.results[-1]
            self.manager.after_epoch(run.position(), result.step, score=result.score, last=run.is_last_epoch)
        self.saved_at = perf_counter()
