"""Stops a run that was asked to stop, where its state can be saved."""

from collections.abc import Callable
from typing import Any, Protocol

from mindcv.engine.callbacks.run_callback import RunCallback, run_state
from mindcv.engine.run_state import RunState

__all__ = ["StopSignal", "Stopping"]


class StopSignal(Protocol):
    """Detects requests to stop this process."""

    def __call__(self) -> bool:
        """Listen for signals, and return whether there is a request."""
        ...

    def stop_listening(self) -> None:
        """Restore the previous signal handlers."""
        ...


class Stopping(RunCallback):
    """Stops a run on request: after an update, before or within a validation, or after an epoch.

    Args:
        signal: Returns whether this process was asked to stop.
        any_rank: Returns whether a flag is raised on any rank, so that all ranks stop at the same step.
        look_every: Updates between two checks. Where there are several ranks, a check makes them wait for
            each other.
    """

    def __init__(
        self, signal: StopSignal, *, any_rank: Callable[[bool], bool] = bool, look_every: int = 1
    ) -> None:
        super().__init__()
        self.signal = signal
        self.any_rank = any_rank
        self.look_every = look_every

    def __exit__(self, *error: Any) -> None:
        self.signal.stop_listening()

    def requested(self) -> bool:
        """Return whether any rank was asked to stop."""
        return self.any_rank(self.signal())

    def on_train_step_begin(self, run_context: Any) -> None:
        """Install the signal handlers again, as MindSpore has replaced them."""
        self.signal()

    def on_train_step_end(self, run_context: Any) -> None:
        """Stop after an update, if requested."""
        run = run_state(run_context)
        update = 0 if run.sinks else run.finished_update
        if update and update % self.look_every == 0 and self.requested():
            run.request_stop()

    def on_epoch_result(self, run: RunState) -> None:
        """Stop after an epoch, if requested."""
        if not run.is_last_epoch and self.requested():
            run.request_stop()
