"""The training loop: MindSpore's `Model.train`, and after each epoch validation, checkpoint and record."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import mindspore as ms
from tqdm import tqdm

from mindcv.engine.checkpoint import CheckpointManager
from mindcv.engine.epoch_losses import EpochLosses, not_finite
from mindcv.engine.evaluate import Evaluation
from mindcv.engine.history import EpochResult, History
from mindcv.engine.run_position import Progress
from mindcv.engine.save_schedule import Saving
from mindcv.engine.training_data import TrainingData
from mindcv.errors import NotFiniteError, Stopped
from mindcv.step.train_step import TrainStep

__all__ = ["Trainer"]


class Trainer(ms.Callback):
    """Trains, and watches its own training as a callback of MindSpore's `Model`.

    Args:
        step: A `TrainStep`.
        data: The training images.
        epochs: Epochs in total.
        learning_rates: The schedule, one value an update; the optimizer has its own copy, this one is shown.
        before_validation: Called after each epoch's training, for example to average the statistics of
            batch normalisation over the devices.
        validate: Scores the network on the validation images; returns None if it was stopped.
        validate_ema: Scores its moving average. Then this score chooses the best checkpoint.
        val_interval: Epochs between two validations; after the last epoch there is always one.
        checkpoints: Saves the network; None on a rank that writes nothing.
        history: Keeps the results; None on a rank that reports nothing.
        saving: When the state is saved within an epoch, and the run stopped.
        rollback: Takes up an earlier state when a loss or a weight is no longer finite, and returns its place
            and other data; or raises what it was given. None ends the training.
        log_interval: Batches between two readings of the loss from the device.
        sink: Let the device fetch its data itself. One dataset then serves all epochs with images of one
            size, because a new one would be compiled anew; without sink every epoch has its own, which
            depends on nothing before it.
    """

    def __init__(
        self,
        step: TrainStep,
        data: TrainingData,
        *,
        epochs: int,
        learning_rates: Sequence[float],
        before_validation: Callable[[], None] | None = None,
        validate: Callable[[], Evaluation | None] | None = None,
        validate_ema: Callable[[], Evaluation | None] | None = None,
        val_interval: int = 1,
        checkpoints: CheckpointManager | None = None,
        history: History | None = None,
        saving: Saving | None = None,
        rollback: Callable[[NotFiniteError], tuple[Progress, TrainingData]] | None = None,
        log_interval: int = 100,
        sink: bool = False,
    ) -> None:
        super().__init__()
        self.step = step
        self.data = data
        self.epochs = epochs
        self.learning_rates = learning_rates
        self.before_validation = before_validation
        self.validate = validate
        self.validate_ema = validate_ema
        self.val_interval = val_interval
        self.checkpoints = checkpoints
        self.history = history
        self.log_interval = log_interval
        self.sink = sink
        self.saving = Saving() if saving is None else saving
        self.rollback = rollback
        self._losses = EpochLosses(step.loss_scale)

    def fit(self, progress: Progress | None = None) -> None:
        """Train until `epochs` epochs are done.

        Args:
            progress: Where to go on, if the network and the step are those of a run that has begun already.

        Raises:
            NotFiniteError: If the loss or a weight is no longer a finite number.
            UserError: If an image cannot be read.
            Stopped: If the run was asked to stop; its state is saved.
        """
        place = Progress() if progress is None else progress
        while True:
            try:
                return self._fit(place)
            except NotFiniteError as error:
                if self.rollback is None:
                    raise
                place, self.data = self.rollback(error)
                self.step.forget_batches()  # what they add up to is in no checkpoint, and may not be finite

    def _fit(self, progress: Progress) -> None:
        self._start = progress
        self._losses.overflows = progress.overflows
        self._last_save = perf_counter()
        model = ms.Model(self.step)
        first = progress.epoch
        try:
            if progress.batch:
                self._end_begun_epoch(model, progress)
                first += 1
            self._sinks = self.sink
            for begin, end in self.data.stages(self.epochs, first) if self.sink else ():
                self._train(model, self.data.run(begin), begin, end)
            for epoch in () if self.sink else range(first, self.epochs):
                self._train(model, self.data.epoch(epoch), epoch, epoch + 1)
        except RuntimeError as error:
            raise self.data.explain(error) from error

    def _end_begun_epoch(self, model: ms.Model, progress: Progress) -> None:
        """Train on what is left of an epoch; never with sink, which would compile for so many batches."""
        self._sinks = False
        if progress.batch < self.data.steps_per_epoch:
            batches = self.data.epoch(progress.epoch, skip=progress.batch)
            self._train(model, batches, progress.epoch, progress.epoch + 1)
        else:  # it was stopped between its last step and its validation
            self._begin(progress.epoch + 1)
            self._finish()

    def _train(self, model: ms.Model, batches: Any, begin: int, end: int) -> None:
        # A run of their own: told of an `initial_epoch`, MindSpore prepares passes for those before it, too.
        self._epochs_before = begin
        model.train(end - begin, batches, [self], self._sinks)

    def on_train_epoch_begin(self, run_context: Any) -> None:
        """Start the clock and the progress bar."""
        self._begin(self._epochs_before + run_context.original_args().cur_epoch_num)

    def _begin(self, epoch: int) -> None:
        begun = self._start if epoch - 1 == self._start.epoch else Progress()
        self.epoch = epoch
        self._losses.begin(begun.losses)
        self._started = perf_counter() - begun.seconds
        self._bar = tqdm(
            total=self.data.steps_per_epoch,
            initial=begun.batch,
            desc=f"epoch {self.epoch}/{self.epochs}",
            unit="step",
            leave=False,
            disable=True if self.history is None else None,  # None: only where there is a terminal
        )

    def on_train_step_begin(self, run_context: Any) -> None:
        """Take in signals: MindSpore has put handlers of its own into place."""
        self.saving.stop_requested()

    def on_train_step_end(self, run_context: Any) -> None:
        """Move the progress bar, now and then read the losses, and save or stop."""
        unread = self._losses.add(run_context.original_args().net_outputs)
        steps = self.data.steps_per_epoch if self._sinks else 1
        self._bar.update(steps)
        if unread * steps >= self.log_interval:
            self._read_losses()
        if not self._sinks:
            self._save_or_stop(len(self._losses))

    def _save_or_stop(self, batch: int) -> None:
        """Where the state is whole, after an update: look whether to save it, and whether to stop."""
        update, begun = divmod(batch, self.step.accumulation)
        if begun or update % self.saving.look_every or batch == self.data.steps_per_epoch:
            return
        due = bool(self.saving.every_updates) and update % self.saving.every_updates == 0
        if self.saving.every_seconds and perf_counter() - self._last_save >= self.saving.every_seconds:
            due = True
        stop, due = self.saving.any(self.saving.stop_requested(), due)
        if stop or due:
            self._save(batch)
        if stop:
            self._stop()

    def _save(self, batch: int) -> None:
        """Save the state within an epoch."""
        self._read_losses()
        self._check_weights()
        if self.before_validation is not None:
            # One rank's statistics are saved. Averaging is linear: this one does not change the next.
            self.before_validation()
        if self.checkpoints is not None:
            self.checkpoints.save(self._progress(batch), self._updates(batch))
        self.saving.any(False)  # no rank goes on, or ends, before the file is written
        self._last_save = perf_counter()

    def _stop(self) -> None:
        self._bar.close()
        raise Stopped(f"stopped in epoch {self.epoch}; the state is saved: --resume auto goes on")

    def _progress(self, batch: int = 0) -> Progress:
        """The place after a batch of the epoch, or without one after the epoch."""
        return Progress(
            epoch=self.epoch - 1 if batch else self.epoch,
            batch=batch,
            losses=tuple(self._losses.values) if batch else (),
            seconds=perf_counter() - self._started if batch else 0.0,
            overflows=self._losses.overflows,
            steps_per_epoch=self.data.steps_per_epoch,
            results=() if self.history is None else tuple(self.history.results),
        )

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Validate, save and record."""
        self._read_losses()
        self._bar.close()
        self._check_weights()
        self._finish()

    def _finish(self) -> None:
        train_seconds = perf_counter() - self._started
        if self.before_validation is not None:
            self.before_validation()
        validation, ema_validation = self._validation(self.validate), self._validation(self.validate_ema)
        batches = self.data.steps_per_epoch
        result = EpochResult(
            epoch=self.epoch,
            step=self._updates(batches),
            lr=self._learning_rate(batches),
            train_loss=self._losses.mean,
            train_seconds=train_seconds,
            images_per_second=batches * self.data.batch_size * self.data.world_size / train_seconds,
            validation=validation,
            ema_validation=ema_validation,
            val_seconds=perf_counter() - self._started - train_seconds,
            overflows=self._losses.new_overflows(),
        )
        if self.history is not None:
            self.history.add(result)
            tqdm.write(f"epoch {self.epoch}/{self.epochs}  {result}")
        if bad_images := self.data.bad_images():  # of this rank's share
            tqdm.write(bad_images)
        place, last = self._progress(), self.epoch == self.epochs
        if self.checkpoints is not None:
            self.checkpoints.after_epoch(place, result.step, score=result.score, last=last)
        self._last_save = perf_counter()
        if not last and self.saving.asked_to_stop():
            if self.checkpoints is not None:
                self.checkpoints.save(place, result.step)
            self._stop()

    def _validation(self, validate: Callable[[], Evaluation | None] | None) -> Evaluation | None:
        due = self.epoch == self.epochs or self.epoch % self.val_interval == 0
        if validate is None or not due:
            return None
        try:
            evaluation = None if self.saving.asked_to_stop() else validate()
        finally:
            self.step.set_train(True)
        if evaluation is None:
            self._save(self.data.steps_per_epoch)
            self._stop()
        return evaluation

    def _updates(self, batches: int) -> int:
        """Updates finished after this many batches of the epoch; skipped ones count."""
        return ((self.epoch - 1) * self.data.steps_per_epoch + batches) // self.step.accumulation

    def _learning_rate(self, batches: int) -> float:
        """Learning rate of the update that the epoch's batch of this number, from 1, belongs to."""
        before = (self.epoch - 1) * self.data.steps_per_epoch + batches - 1
        return self.learning_rates[before // self.step.accumulation]

    def _read_losses(self) -> None:
        reason = self._losses.read()
        batches = len(self._losses.values)
        if self._any(bool(reason)):
            self._bar.close()
            batch = (self.epoch - 1) * self.data.steps_per_epoch + batches
            raise NotFiniteError(
                f"{reason or 'the loss of another rank is not finite'} at step {batch} (epoch {self.epoch}, "
                f"lr={self._learning_rate(batches):.3g}): {self.step.loss_scale.remedy}"
            )
        if batches:
            rate = self._learning_rate(batches)
            self._bar.set_postfix(loss=f"{self._losses.values[-1]:.3f}", lr=f"{rate:.3g}")

    def _any(self, flag: bool) -> bool:
        """Whether any rank says so; where nobody rolls back, one that fails ends all."""
        if self.rollback is None:
            return flag
        return self.saving.any(flag)[0]

    def _check_weights(self) -> None:
        name = not_finite(self.step)
        if self._any(bool(name)):
            rate = self._learning_rate(self.data.steps_per_epoch)
            raise NotFiniteError(
                f"{repr(name) if name else 'a weight of another rank'} is no longer finite in epoch "
                f"{self.epoch} (lr={rate:.3g}): {self.step.loss_scale.remedy}"
            )
