"""Ends a run whose loss or weights become NaN or infinite, or returns it to an earlier state."""

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np
from mindspore import nn

from mindcv.engine.callbacks.run_callback import RunCallback, run_state
from mindcv.engine.run_position import RunPosition
from mindcv.engine.run_state import RunState
from mindcv.engine.training_data import TrainingData
from mindcv.errors import NotFiniteError

__all__ = ["FiniteGuard", "Rollback"]

# Restores an earlier state after an error, and returns its position and the data to continue with; or raises
# the error that it was given.
Rollback = Callable[[NotFiniteError], tuple[RunPosition, TrainingData]]

# From its maximum, a dynamic loss scale reaches its minimum after 24 overflows; then another cause is likely.
OVERFLOWS_IN_A_ROW = 30


class FiniteGuard(RunCallback):
    """Checks each loss that is read, and the weights before they are validated or saved.

    Args:
        rollback: Restores an earlier state after an error; None ends the run.
        any_rank: Returns whether a flag is raised on any rank, so that all ranks return to the earlier state.
    """

    def __init__(
        self,
        rollback: Rollback | None = None,
        *,
        any_rank: Callable[[bool], bool] = bool,
    ) -> None:
        super().__init__()
        self.rollback = rollback
        # Without a rollback the launcher ends all ranks as soon as one fails.
        self.any_rank = bool if rollback is None else any_rank

    def on_interval(self, run: RunState) -> None:
        """Check the losses that were read.

        Raises:
            NotFiniteError: If one is NaN or infinite, or if too many updates in a row were skipped.
        """
        batch, reason = _broken_loss(run)
        if self.any_rank(bool(reason)):
            number = (run.epoch - 1) * run.data.steps_per_epoch + batch
            raise NotFiniteError(
                f"{reason or 'the loss of another rank is not finite'} at step {number} (epoch {run.epoch}, "
                f"lr={run.learning_rate(batch):.3g}): {run.step.loss_scale.remedy}"
            )

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Check the weights before they are validated."""
        self._check_weights(run_state(run_context))

    def on_save(self, run: RunState) -> None:
        """Check the weights before they are saved."""
        if not run.epoch_done:
            self._check_weights(run)

    def recover(self, run: RunState, error: Exception) -> bool:
        """Return to an earlier state."""
        if self.rollback is None or not isinstance(error, NotFiniteError):
            return False
        run.start, run.data = self.rollback(error)
        return True

    def _check_weights(self, run: RunState) -> None:
        name = _broken_parameter(run.step)
        if self.any_rank(bool(name)):
            rate = run.learning_rate(run.data.steps_per_epoch)
            raise NotFiniteError(
                f"{repr(name) if name else 'a weight of another rank'} is no longer finite in epoch "
                f"{run.epoch} (lr={rate:.3g}): {run.step.loss_scale.remedy}"
            )


def _broken_loss(run: RunState) -> tuple[int, str]:
    """Return the batch of the epoch, from 1, whose loss ends the run, and the reason."""
    scale, values = run.step.loss_scale, run.losses.values
    if scale.skips:
        skipped = int(scale.in_a_row.asnumpy())
        if skipped >= OVERFLOWS_IN_A_ROW:
            return len(values), f"the gradients of {skipped} updates in a row were NaN or infinite"
        return len(values), ""
    new = 0 if run.interval is None else len(run.interval.losses)
    for batch in range(len(values) - new + 1, len(values) + 1):
        if not isfinite(values[batch - 1]):
            return batch, f"the loss is {values[batch - 1]}"
    return len(values), ""


def _broken_parameter(step: nn.Cell) -> str:
    """Return the name of a parameter that is not finite; empty if all are.

    The loss may stay finite: on a CPU, MindSpore's ReLU turns NaN into 0.
    """
    names = (p.name for p in step.get_parameters() if not np.isfinite(p.asnumpy()).all())
    return next(names, "")
