"""The training loop: MindSpore's `Model.train`, epoch by epoch, and the callbacks of the run."""

from collections.abc import Iterable, Sequence
from typing import Any

import mindspore as ms

from mindcv.engine.callback_list import CallbackList
from mindcv.engine.epoch_result import EpochResult
from mindcv.engine.run_position import RunPosition
from mindcv.engine.run_state import RunState
from mindcv.engine.training_data import TrainingData
from mindcv.errors import NotFiniteError, Stopped
from mindcv.step.train_step import TrainStep

__all__ = ["Trainer"]

RECOVERIES = 3  # an error that comes back so often will come back again


class Trainer:
    """Runs a train step over the data, and calls callbacks, which do everything else.

    Args:
        step: The train step.
        data: The training images.
        epochs: Epochs in total.
        callbacks: Callbacks, in the order in which they are called: `RunCallback`, or MindSpore's own.
        learning_rates: The schedule, one value per update. The optimizer has its own copy, this one is
            reported.
        start: Position of a resumed run; network and step must have been restored to it.
        log_interval: Batches between two readings of the loss from the device.
        sink: Let the device fetch its own data. One dataset then serves all epochs with images of one size,
            because each dataset is compiled; without sink every epoch has its own dataset, which depends on
            nothing before it.
    """

    def __init__(
        self,
        step: TrainStep,
        data: TrainingData,
        epochs: int,
        callbacks: Iterable[ms.Callback] = (),
        *,
        learning_rates: Sequence[float],
        start: RunPosition | None = None,
        log_interval: int = 100,
        sink: bool = False,
    ) -> None:
        self.run = RunState(step, data, epochs, learning_rates)
        self.run.restart(RunPosition() if start is None else start)
        self.callbacks = CallbackList(callbacks, self.run)
        self.log_interval = log_interval
        self.sink = sink

    @property
    def results(self) -> list[EpochResult]:
        """The finished epochs."""
        return self.run.results

    def fit(self) -> None:
        """Train until all epochs are done, or a callback ends the run by ``run_context.request_stop()``.

        Called again, it continues where it stopped.

        Raises:
            NotFiniteError: If the loss or a weight is NaN or infinite.
            UserError: If an image cannot be read.
            CallbackError: If a callback fails; the message names it.
            Stopped: If the run was asked to stop; its state is saved.
        """
        self.recoveries = 0
        with self.callbacks:
            self.run.restart(self.run.start)
            if self.run.start != RunPosition():
                self.callbacks.event("on_restart")
            self.callbacks.mindspore_event("on_train_begin")
            while not self._finished():
                self.run.step.discard_gradients()  # no checkpoint contains their sums
                self.callbacks.event("on_restart")
            self.callbacks.mindspore_event("on_train_end")

    def _finished(self) -> bool:
        """Train to the end; returns False where an earlier state was restored instead."""
        try:
            self._train_all()
        except NotFiniteError as error:
            if self.recoveries == RECOVERIES or not self.callbacks.recover(error):
                raise
            self.recoveries += 1
            self.run.restart(self.run.start)
            return False
        except Stopped:
            self.run.start = self.run.position()
            if not self.callbacks.stop_requested:
                raise
        self.run.start = self.run.position()  # calling `fit` again trains no epoch twice
        return True

    def _train_all(self) -> None:
        run = self.run
        model, first = ms.Model(run.step), run.start.epoch
        try:
            if run.start.batch:
                self._end_begun_epoch(model)
                first += 1
            run.sinks = self.sink
            for begin, end in run.data.stages(run.epochs, first) if self.sink else ():
                self._train(model, run.data.run(begin), begin, end)
            for epoch in () if self.sink else range(first, run.epochs):
                self._train(model, run.data.epoch(epoch), epoch, epoch + 1)
        except RuntimeError as error:
            raise run.data.explain(error) from error

    def _end_begun_epoch(self, model: ms.Model) -> None:
        """Train on the rest of an epoch, without sink, which would compile for this number of batches."""
        run, start = self.run, self.run.start
        run.sinks = False
        if start.batch < run.data.steps_per_epoch:
            batches = run.data.epoch(start.epoch, skip=start.batch)
            self._train(model, batches, start.epoch, start.epoch + 1)
        else:  # the run was stopped between its last step and its validation
            self.begin_epoch(start.epoch + 1, {})
            self.end_epoch({})

    def _train(self, model: ms.Model, batches: Any, begin: int, end: int) -> None:
        # A separate `Model.train`: with `initial_epoch`, MindSpore would prepare the passes before it, too.
        model.train(end - begin, batches, [_ModelEvents(self, begin)], self.run.sinks)

    def begin_epoch(self, epoch: int, params: dict[str, Any]) -> None:
        """Begin an epoch, from 1."""
        self.run.begin_epoch(epoch)
        self.callbacks.mindspore_event("on_train_epoch_begin", params)

    def begin_step(self, params: dict[str, Any]) -> None:
        """Notify the callbacks that a step begins."""
        self.run.begin_step()
        self.callbacks.mindspore_event("on_train_step_begin", params)

    def end_step(self, params: dict[str, Any]) -> None:
        """Keep the loss, read the losses at intervals, and save or stop if requested."""
        run = self.run
        unread = run.losses.add(params["net_outputs"])
        self.callbacks.mindspore_event("on_train_step_end", params)
        if unread * (run.data.steps_per_epoch if run.sinks else 1) >= self.log_interval:
            self._read_losses()
        if not run.sinks and run.finished_update:
            self._save_or_stop()
        run.end_step()

    def end_epoch(self, params: dict[str, Any]) -> None:
        """Let callbacks validate, and report the result."""
        self._read_losses()
        self.run.end_training()
        self.callbacks.mindspore_event("on_train_epoch_end", params)
        if not self.run.interrupted:
            self.run.end_epoch()
            self.callbacks.event("on_epoch_result")
        self._save_or_stop()

    def _read_losses(self) -> None:
        if self.run.read_losses():
            self.callbacks.event("on_interval")

    def _save_or_stop(self) -> None:
        """Save the state, which is complete after an update, and stop, each if a callback requested it."""
        run = self.run
        ended = run.epoch_done and run.is_last_epoch
        stops = run.interrupted or ((run.stop_requested or self.callbacks.stop_requested) and not ended)
        if not (stops or run.save_requested):
            return
        self._read_losses()
        self.callbacks.event("on_save")
        run.save_requested = False
        if stops:
            raise Stopped(f"stopped in epoch {run.epoch}; the state is saved: continue with --resume auto")


class _ModelEvents(ms.Callback):
    """Passes the events of one `Model.train` on to the trainer.

    Args:
        trainer: The trainer.
        epochs_before: Epochs before the first one that `Model.train` counts.
    """

    def __init__(self, trainer: Trainer, epochs_before: int) -> None:
        super().__init__()
        self.trainer = trainer
        self.epochs_before = epochs_before

    def on_train_epoch_begin(self, run_context: Any) -> None:
        params = run_context.original_args()
        self.trainer.begin_epoch(self.epochs_before + params.cur_epoch_num, params)

    def on_train_step_begin(self, run_context: Any) -> None:
        self.trainer.begin_step(run_context.original_args())

    def on_train_step_end(self, run_context: Any) -> None:
        self.trainer.end_step(run_context.original_args())

    def on_train_epoch_end(self, run_context: Any) -> None:
        self.trainer.end_epoch(run_context.original_args())
