"""The state of a training run, as seen by its callbacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from mindcv.engine.epoch_losses import EpochLosses
from mindcv.engine.epoch_result import EpochResult
from mindcv.engine.evaluate import Evaluation
from mindcv.engine.run_position import RunPosition
from mindcv.engine.training_data import TrainingData
from mindcv.step.train_step import TrainStep

__all__ = ["Interval", "RunState"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The batches between two readings of the losses.

    Args:
        epoch: The epoch that they belong to, from 1.
        batch: Batches of that epoch finished so far.
        step: Updates of the parameters so far; skipped ones count.
        lr: Learning rate of the last of these updates.
        losses: Training loss of each batch on this device; with data sinking, only the epoch's last one.
        images_per_second: Training images per second over all devices.
        batches: The batches themselves.
        seconds: Their time.
        waiting: Fraction of that time, from 0 to 1, in which the host waited for images; None with data
            sinking, where the device fetches its own.
    """

    epoch: int
    batch: int
    step: int
    lr: float
    losses: tuple[float, ...]
    images_per_second: float
    batches: int
    seconds: float
    waiting: float | None


class RunState:
    """A training run in progress: values for callbacks to read, and requests that they can make.

    Args:
        step: The train step.
        data: The training images.
        epochs: Epochs in total.
        learning_rates: The schedule, one value per update.

    Attributes:
        start: Where training began, was resumed or was rolled back to.
        epoch: The current epoch, from 1; 0 before the first.
        epoch_done: Whether the epoch's result is in `results`.
        sinks: Whether the device fetches its own data: then an epoch is one step to the host.
        losses: The losses of the current epoch.
        interval: The batches that were read last; None before the first reading.
        validation: Validation of the network in this epoch, set by a callback.
        ema_validation: Validation of the EMA model in this epoch, set by a callback.
        results: The finished epochs.
    """

    def __init__(
        self, step: TrainStep, data: TrainingData, epochs: int, learning_rates: Sequence[float]
    ) -> None:
        self.step = step
        self.data = data
        self.epochs = epochs
        self.learning_rates = learning_rates
        self.losses = EpochLosses(step.loss_scale)
        self.sinks = False
        self.restart(RunPosition())

    # --- requests of callbacks ---

    def request_save(self) -> None:
        """Ask the trainer to save the state after the current step; on all ranks alike."""
        self.save_requested = True

    def request_stop(self) -> None:
        """Ask the trainer to save the state after the current step and to stop; on all ranks alike."""
        self.stop_requested = True

    def interrupt_epoch(self) -> None:
        """Ask the trainer to save the state and to stop without a result of this epoch; on all ranks alike.

        A resumed run repeats the epoch's validation.
        """
        self.interrupted = True

    # --- progress ---

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.data.rank == 0

    @property
    def is_last_epoch(self) -> bool:
        """Whether training ends with this epoch."""
        return self.epoch == self.epochs

    @property
    def batch(self) -> int:
        """Batches of this epoch finished so far."""
        return self.data.steps_per_epoch if self.sinks and len(self.losses) else len(self.losses)

    @property
    def updates(self) -> int:
        """Updates of the parameters so far; skipped ones count."""
        return self.batches // self.step.accumulation

    @property
    def batches(self) -> int:
        """Batches of the run finished so far."""
        steps = self.data.steps_per_epoch
        return self.epoch * steps if self.epoch_done else (self.epoch - 1) * steps + self.batch

    @property
    def finished_update(self) -> int:
        """The epoch's update, from 1, that the last batch has finished.

        It is 0 where the state cannot be saved (between two updates) or need not be (at the end of the
        epoch).
        """
        update, begun = divmod(self.batch, self.step.accumulation)
        return 0 if begun or self.batch == self.data.steps_per_epoch else update

    def learning_rate(self, batch: int | None = None) -> float:
        """Return the learning rate of the update that a batch belongs to.

        A skipped update does not advance the optimizer: the next one uses the same learning rate.

        Args:
            batch: A batch of this epoch, from 1; by default the last one.
        """
        number = self.batch if batch is None else batch
        before = (self.epoch - 1) * self.data.steps_per_epoch + max(number, 1) - 1
        return self.learning_rates[max(before // self.step.accumulation - self.losses.skipped, 0)]

    def position(self) -> RunPosition:
        """Return the position after the last batch, or after the epoch if it is finished."""
        batch = 0 if self.epoch_done else self.batch
        return RunPosition(
            epoch=self.epoch - 1 if batch else self.epoch,
            batch=batch,
            losses=tuple(self.losses.values) if batch else (),
            seconds=perf_counter() - self._started if batch else 0.0,
            overflows=self.losses.overflows,
            steps_per_epoch=self.data.steps_per_epoch,
            results=tuple(self.results),
        )

    # --- updates by the trainer ---

    def restart(self, start: RunPosition) -> None:
        """Set the position; network and step have been restored to it already."""
        self.start = start
        self.epoch = start.epoch
        self.epoch_done = True
        self.results = list(start.results)
        self.losses.begin(())
        self.losses.overflows = start.overflows
        self.interval: Interval | None = None
        self.validation: Evaluation | None = None
        self.ema_validation: Evaluation | None = None
        self.save_requested = self.stop_requested = self.interrupted = False

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch, from 1, or the rest of it if the run was resumed within it."""
        begun = self.start if epoch - 1 == self.start.epoch else RunPosition()
        self.epoch = epoch
        self.epoch_done = False
        self.validation = self.ema_validation = None
        self.losses.begin(begun.losses)
        now = perf_counter()
        self._started, self._read_at = now - begun.seconds, now
        self._waited, self._step_ended = 0.0, now

    def begin_step(self) -> None:
        """Count the time since the last step, which the host spent waiting for a batch."""
        self._waited += perf_counter() - self._step_ended

    def end_step(self) -> None:
        """Note the time at which the host begins to wait for the next batch."""
        self._step_ended = perf_counter()

    def read_losses(self) -> bool:
        """Read the losses of the batches since the last reading; returns whether there were any."""
        losses, before = self.losses.read(), self._read_at
        self._read_at = perf_counter()
        seconds, waited, self._waited = self._read_at - before, self._waited, 0.0
        if losses:
            batches = self.data.steps_per_epoch if self.sinks else len(losses)
            self.interval = Interval(
                epoch=self.epoch,
                batch=self.batch,
                step=self.updates,
                lr=self.learning_rate(),
                losses=losses,
                images_per_second=self._images(batches) / seconds,
                batches=batches,
                seconds=seconds,
                waiting=None if self.sinks else min(waited / seconds, 1.0),
            )
        return bool(losses)

    def end_training(self) -> None:
        """Stop the clock of the epoch's training, before its validation."""
        self._train_seconds = perf_counter() - self._started

    def end_epoch(self) -> None:
        """Add the epoch's result to `results`."""
        batches, seconds = self.data.steps_per_epoch, self._train_seconds
        self.results.append(
            EpochResult(
                epoch=self.epoch,
                step=self.updates,
                lr=self.learning_rate(),
                train_loss=self.losses.mean,
                train_seconds=seconds,
                images_per_second=self._images(batches) / seconds,
                validation=self.validation,
                ema_validation=self.ema_validation,
                val_seconds=perf_counter() - self._started - seconds,
                overflows=self.losses.new_overflows(),
            )
        )
        self.epoch_done = True

    def _images(self, batches: int) -> int:
        return batches * self.data.batch_size * self.data.world_size
