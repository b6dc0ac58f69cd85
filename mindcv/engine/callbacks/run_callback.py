"""The interface of callbacks: MindSpore's own, and further events of a run."""

from typing import Any

import mindspore as ms

from mindcv.engine.run_state import RunState

__all__ = ["RunCallback", "run_state"]


class RunCallback(ms.Callback):
    """A MindSpore callback with further events: losses read, epoch finished, state saved, run restarted.

    MindSpore's methods (``on_train_begin``, ``on_train_epoch_begin``, ``on_train_step_end``, ...) receive its
    ``run_context``, from which `run_state` returns the `RunState`. The methods below receive that directly.
    They are called on every rank; one that writes files checks ``run.is_main``. Override those you need.
    """

    def on_restart(self, run: RunState) -> None:
        """Run after the state of ``run.start`` was restored: where a run is resumed, and after a rollback."""

    def on_interval(self, run: RunState) -> None:
        """Run after losses were read from the device: ``run.interval`` describes them."""

    def on_save(self, run: RunState) -> None:
        """Run where the state is saved within an epoch, or where the run stops."""

    def on_epoch_result(self, run: RunState) -> None:
        """Run after an epoch and its validation: ``run.results[-1]`` describes them."""

    def recover(self, run: RunState, error: Exception) -> bool:
        """Restore an earlier state after an error, set ``run.start`` to its position, and return True.

        Returns:
            False if it cannot recover from the error, which then ends the run.
        """
        del run, error
        return False


def run_state(run_context: Any) -> RunState:
    """Return the state of the run that MindSpore's ``run_context`` belongs to."""
    return run_context.original_args().run
