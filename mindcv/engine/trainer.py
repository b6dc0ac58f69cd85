"""The training loop: MindSpore's `Model.train`, and after each epoch validation, checkpoint and record."""

from collections.abc import Callable, Sequence
from math import isfinite
from time import perf_counter
from typing import Any, Protocol

import mindspore as ms
import numpy as np
from mindspore import Tensor
from tqdm import tqdm

from mindcv.engine.checkpoint import CheckpointManager
from mindcv.engine.evaluate import Evaluation
from mindcv.engine.history import EpochResult, History
from mindcv.engine.step import TrainStep
from mindcv.errors import UserError

__all__ = ["Trainer", "TrainingData"]

# A dynamic loss scale that starts at its largest is at its smallest after 24; then something else is wrong.
OVERFLOWS_IN_A_ROW = 30


class TrainingData(Protocol):
    """Where the batches come from."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of this rank in an epoch."""
        ...

    @property
    def batch_size(self) -> int:
        """Images of a step on one device."""
        ...

    @property
    def size(self) -> int:
        """Number of devices."""
        ...

    def epoch(self, epoch: int) -> Any:
        """A MindSpore dataset with the batches of one epoch, counted from 0."""
        ...

    def run(self, first_epoch: int) -> Any:
        """A MindSpore dataset with the batches of one epoch at each pass."""
        ...

    def stages(self, num_epochs: int, first_epoch: int = 0) -> Sequence[tuple[int, int]]:
        """The parts of a training, as first and last epoch, that one `run` each can serve."""
        ...

    def explain(self, error: Exception) -> Exception:
        """What to raise in place of an error that came out of a dataset."""
        ...

    def bad_images(self) -> str:
        """A line on the images that could not be read since the last call; empty if all could."""
        ...


class Trainer(ms.Callback):
    """Trains, and watches its own training as a callback of MindSpore's `Model`.

    Args:
        step: A `TrainStep`.
        data: The training images.
        epochs: Epochs in total.
        learning_rates: The schedule, one value an update; the optimizer has its own copy, this one is shown.
        before_validation: Called after each epoch's training, for example to average the statistics of
            batch normalisation over the devices.
        validate: Scores the network on the validation images.
        validate_ema: Scores its moving average. Then this score chooses the best checkpoint.
        val_interval: Epochs between two validations; after the last epoch there is always one.
        checkpoints: Saves the network; None on a rank that writes nothing.
        history: Keeps the results; None on a rank that reports nothing.
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
        validate: Callable[[], Evaluation] | None = None,
        validate_ema: Callable[[], Evaluation] | None = None,
        val_interval: int = 1,
        checkpoints: CheckpointManager | None = None,
        history: History | None = None,
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
        self._losses: list[float] = []
        self._unread: list[Tensor] = []
        self._overflows = 0

    def fit(self, first_epoch: int = 0) -> None:
        """Train until `epochs` epochs are done.

        Args:
            first_epoch: Epochs that are done already.

        Raises:
            UserError: If the loss or a weight is no longer a finite number, or an image cannot be read.
        """
        model = ms.Model(self.step)
        try:
            if self.sink:
                for begin, end in self.data.stages(self.epochs, first_epoch):
                    model.train(end, self.data.run(begin), [self], True, initial_epoch=begin)
                return
            for epoch in range(first_epoch, self.epochs):
                model.train(epoch + 1, self.data.epoch(epoch), [self], False, initial_epoch=epoch)
        except RuntimeError as error:
            raise self.data.explain(error) from error

    def on_train_epoch_begin(self, run_context: Any) -> None:
        """Start the clock and the progress bar."""
        self.epoch: int = run_context.original_args().cur_epoch_num
        self._losses.clear()
        self._unread.clear()
        self._started = perf_counter()
        self._bar = tqdm(
            total=self.data.steps_per_epoch,
            desc=f"epoch {self.epoch}/{self.epochs}",
            unit="step",
            leave=False,
            disable=True if self.history is None else None,  # None: only where there is a terminal
        )

    def on_train_step_end(self, run_context: Any) -> None:
        """Move the progress bar, and now and then read the losses."""
        self._unread.append(run_context.original_args().net_outputs)
        steps = self.data.steps_per_epoch if self.sink else 1
        self._bar.update(steps)
        if len(self._unread) * steps >= self.log_interval:
            self._read_losses()

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Validate, save and record."""
        self._read_losses()
        self._bar.close()
        self._check_weights()
        train_seconds = perf_counter() - self._started
        if self.before_validation is not None:
            self.before_validation()
        validation, ema_validation = self._validation(self.validate), self._validation(self.validate_ema)
        batches = self.data.steps_per_epoch
        learnt = [loss for loss in self._losses if isfinite(loss)]
        result = EpochResult(
            epoch=self.epoch,
            step=self._updates(batches),
            lr=self._learning_rate(batches),
            train_loss=sum(learnt) / len(learnt) if learnt else float("nan"),
            train_seconds=train_seconds,
            images_per_second=batches * self.data.batch_size * self.data.size / train_seconds,
            validation=validation,
            ema_validation=ema_validation,
            val_seconds=perf_counter() - self._started - train_seconds,
            overflows=self._new_overflows(),
        )
        if self.checkpoints is not None:
            last = self.epoch == self.epochs
            self.checkpoints.after_epoch(result.epoch, result.step, score=result.score, last=last)
        if self.history is not None:
            self.history.add(result)
            tqdm.write(f"epoch {self.epoch}/{self.epochs}  {result}")
            if bad_images := self.data.bad_images():
                tqdm.write(bad_images)

    def _validation(self, validate: Callable[[], Evaluation] | None) -> Evaluation | None:
        due = self.epoch == self.epochs or self.epoch % self.val_interval == 0
        if validate is None or not due:
            return None
        try:
            return validate()
        finally:
            self.step.set_train(True)

    def _updates(self, batches: int) -> int:
        """Updates finished after this many batches of the epoch; skipped ones count."""
        return ((self.epoch - 1) * self.data.steps_per_epoch + batches) // self.step.accumulation

    def _learning_rate(self, batches: int) -> float:
        """Learning rate of the update that the epoch's batch of this number, from 1, belongs to."""
        before = (self.epoch - 1) * self.data.steps_per_epoch + batches - 1
        return self.learning_rates[before // self.step.accumulation]

    def _read_losses(self) -> None:
        """Fetch the losses since the last reading; reading each at once would stop the device each time."""
        for loss in self._unread:
            self._losses.append(float(loss.asnumpy()))
            if not isfinite(self._losses[-1]) and not self.step.loss_scale.skips:
                self._stop_for(f"the loss is {self._losses[-1]}")
        if self._unread and self.step.loss_scale.skips:
            skipped = int(self.step.loss_scale.in_a_row.asnumpy())
            if skipped >= OVERFLOWS_IN_A_ROW:
                self._stop_for(f"the gradients of {skipped} updates in a row were infinite or no numbers")
        self._unread.clear()
        if self._losses:
            rate = self._learning_rate(len(self._losses))
            self._bar.set_postfix(loss=f"{self._losses[-1]:.3f}", lr=f"{rate:.3g}")

    def _new_overflows(self) -> int:
        """Updates that were skipped since the last call."""
        if not self.step.loss_scale.skips:
            return 0
        before, self._overflows = self._overflows, int(self.step.loss_scale.overflows.asnumpy())
        return self._overflows - before

    def _check_weights(self) -> None:
        """Stop for a NaN that the loss does not show: on a CPU, MindSpore's ReLU makes 0 of it."""
        for parameter in self.step.get_parameters():
            if not np.isfinite(parameter.asnumpy()).all():
                rate = self._learning_rate(self.data.steps_per_epoch)
                raise UserError(
                    f"'{parameter.name}' is no longer finite after epoch {self.epoch} (lr={rate:.3g}): "
                    "lower lr or lengthen warmup_epochs"
                )

    def _stop_for(self, reason: str) -> None:
        self._bar.close()
        batch = (self.epoch - 1) * self.data.steps_per_epoch + len(self._losses)
        rate = self._learning_rate(len(self._losses))
        raise UserError(
            f"{reason} at step {batch} (epoch {self.epoch}, lr={rate:.3g}): "
            "lower lr or lengthen warmup_epochs"
        )
