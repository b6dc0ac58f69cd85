"""Validation of the network and of its EMA model while they train."""

from collections.abc import Callable
from typing import Any

from mindcv.engine.callbacks.run_callback import RunCallback, run_state
from mindcv.engine.evaluate import Evaluation
from mindcv.engine.run_state import RunState

__all__ = ["StatisticsExchange", "Validation"]


class StatisticsExchange(RunCallback):
    """Gives all ranks the same statistics of batch normalisation, before a validation and before a save.

    Args:
        exchange: Exchanges them, for example by averaging over the ranks. Averaging is linear: one exchange
            does not change the result of the next.
    """

    def __init__(self, exchange: Callable[[], None]) -> None:
        super().__init__()
        self.exchange = exchange

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Exchange them before the validation, also in epochs without one."""
        self.exchange()

    def on_save(self, run: RunState) -> None:
        """Exchange them before one rank's are saved."""
        if not run.epoch_done:
            self.exchange()


class Validation(RunCallback):
    """Validates every few epochs and after the last one.

    Args:
        validate: Scores the network on the validation images; returns None if it was asked to stop.
        validate_ema: Scores its EMA model. Then this score chooses the best checkpoint.
        interval: Epochs between two validations.
        stop_requested: Whether any rank was asked to stop.
    """

    def __init__(
        self,
        validate: Callable[[], Evaluation | None],
        validate_ema: Callable[[], Evaluation | None] | None = None,
        *,
        interval: int = 1,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self.validate = validate
        self.validate_ema = validate_ema
        self.interval = interval
        self.stop_requested = stop_requested

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Validate if it is due."""
        run = run_state(run_context)
        if not run.is_last_epoch and run.epoch % self.interval:
            return
        run.validation = self._run(run, self.validate)
        if self.validate_ema is not None and not run.interrupted:
            run.ema_validation = self._run(run, self.validate_ema)

    def _run(self, run: RunState, validate: Callable[[], Evaluation | None]) -> Evaluation | None:
        try:
            evaluation = None if self.stop_requested() else validate()
        finally:
            run.step.set_train(True)
        if evaluation is None:
            run.interrupt_epoch()
        return evaluation
