"""A list of callbacks, called in order."""

import logging
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import mindspore as ms
from mindspore.train.callback import _InternalCallbackParam

from mindcv.engine.callbacks.finite_guard import FiniteGuard
from mindcv.engine.callbacks.run_callback import RunCallback
from mindcv.engine.run_state import RunState
from mindcv.errors import CallbackError, NotFiniteError, Stopped, UserError

__all__ = ["CallbackList"]

logger = logging.getLogger(__name__)

# What `Model.train` gives its callbacks beside the numbers of a run; before the first epoch it is not known.
GIVEN = (
    "train_dataset",
    "train_dataset_element",
    "loss_fn",
    "last_save_ckpt_step",
    "latest_ckpt_file",
    "loss_scale_mananger",  # MindSpore's spelling
    "net_outputs",
)


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
        self.params.update(dict.fromkeys(GIVEN))
        self.params.update(
            run=run,
            mode="train",
            network=run.step,
            train_network=run.step,
            optimizer=run.step.optimizer,
            parallel_mode=ms.get_auto_parallel_context("parallel_mode"),
            device_number=run.data.world_size,
            initial_step=0,
            dataset_sink_mode=False,
        )
        self.context = ms.RunContext(self.params)

    def __enter__(self) -> "CallbackList":
        self.context = ms.RunContext(self.params)  # an earlier `fit` may have ended on request
        with ExitStack() as stack:
            for callback in self.callbacks:
                self._call(callback, "__enter__")
                stack.push(partial(self._exit, callback))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def _exit(self, callback: ms.Callback, *error: Any) -> None:
        """Leave a callback; where the run has failed already, a failure here does not hide why."""
        try:
            self._call(callback, "__exit__", *error)
        except Exception as failure:
            if error[1] is None:
                raise
            logger.warning("%s", failure)

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
            list_callback=self.callbacks,
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
        return any(self._call(callback, "recover", self.run, error) for callback in ours)

    @property
    def stop_requested(self) -> bool:
        """Whether a callback has called MindSpore's ``run_context.request_stop()``."""
        return self.context.get_stop_requested()

    def _call(self, callback: ms.Callback, method: str, *arguments: Any) -> Any:
        try:
            return getattr(callback, method)(*arguments)
        except (UserError, Stopped) as error:  # they explain themselves
            # Only the guard's is found on all ranks alike, so that all of them return to an earlier state.
            if isinstance(error, NotFiniteError) and not isinstance(callback, FiniteGuard):
                raise _failure(callback, method, error) from error
            raise
        except Exception as error:
            raise _failure(callback, method, error) from error


def _failure(callback: ms.Callback, method: str, error: Exception) -> CallbackError:
    name = f"{type(callback).__module__}.{type(callback).__qualname__}"
    return CallbackError(f"callback {name} failed in {method}: {type(error).__name__}: {error}")
