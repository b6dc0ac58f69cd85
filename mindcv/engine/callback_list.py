"""A list of callbacks, called in order."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import mindspore as ms
from mindspore.train.callback import _InternalCallbackParam

from mindcv.engine.callbacks.run_callback import RunCallback
from mindcv.engine.run_state import RunState
from mindcv.errors import CallbackError, Stopped, UserError

__all__ = ["CallbackList"]


class CallbackList:
    """Calls each callback in turn, and gives it one `RunContext` for the whole run.

    The trainer calls `Model.train` once per epoch, and MindSpore's own context would start over each time.

    Args:
        callbacks: Callbacks of MindSpore or of this project, in the order in which they are called.
        run: The state of the run.
    """

    def __init__(self, callbacks: Iterable[ms.Callback], run: RunState) -> None:
        self.callbacks = list(callbacks)
        self.run = run
        self.params = _InternalCallbackParam()
        self.params.update(
            run=run,
            mode="train",
            network=run.step,
            train_network=run.step,
            optimizer=run.step.optimizer,
            net_outputs=None,
            dataset_sink_mode=False,
        )
        self.context = ms.RunContext(self.params)

    def __enter__(self) -> "CallbackList":
        self._stack = ExitStack()
        for callback in self.callbacks:
            self._stack.enter_context(callback)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def mindspore_event(self, method: str, given: Mapping[str, Any] | None = None) -> None:
        """Call a method of MindSpore's `Callback`.

        Args:
            method: Its name, such as ``on_train_step_end``.
            given: The contents of MindSpore's own context; the run's numbers replace those of the epoch.
        """
        run, steps = self.run, self.run.data.steps_per_epoch
        begun = (steps if run.sinks else 1) if method == "on_train_step_begin" else 0
        self.params.update(given or {})
        self.params.update(
            optimizer=run.step.optimizer,
            epoch_num=run.epochs,
            cur_epoch_num=run.epoch,
            batch_num=steps,
            cur_step_num=run.batches + begun,
        )
        for callback in self.callbacks:
            self._call(callback, method, self.context)

    def event(self, method: str) -> None:
        """Call a method of `RunCallback` on the callbacks that derive from it."""
        for callback in self.callbacks:
            if isinstance(callback, RunCallback):
                self._call(callback, method, self.run)

    def recover(self, error: Exception) -> bool:
        """Return whether a callback has restored an earlier state after an error."""
        ours = [callback for callback in self.callbacks if isinstance(callback, RunCallback)]
        return any(callback.recover(self.run, error) for callback in ours)

    @property
    def stop_requested(self) -> bool:
        """Whether a callback has called MindSpore's ``run_context.request_stop()``."""
        return self.context.get_stop_requested()

    def _call(self, callback: ms.Callback, method: str, argument: Any) -> None:
        try:
            getattr(callback, method)(argument)
        except (UserError, Stopped):  # they explain themselves
            raise
        except Exception as error:
            name = f"{type(callback).__module__}.{type(callback).__qualname__}"
            raise CallbackError(
                f"callback {name} failed in {method}: {type(error).__name__}: {error}"
            ) from error
