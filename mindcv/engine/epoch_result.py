"""The result of one epoch of training, and the best of several."""

from collections.abc import Iterable
from dataclasses import dataclass

from mindcv.engine.evaluate import Evaluation

__all__ = ["EpochResult", "best_result"]


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """One epoch of training.

    Args:
        epoch: Epochs finished so far.
        step: Updates of the parameters so far; skipped ones count.
        lr: Learning rate of the epoch's last update that was not skipped.
        train_loss: Mean training loss of the epoch's batches.
        train_seconds: Time spent on training, compilation included.
        images_per_second: Training images per second over all devices.
        validation: Validation of the network, if there was one.
        ema_validation: Validation of the EMA model, if there was one.
        val_seconds: Time spent on validation.
        overflows: Updates skipped because a gradient had overflowed.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    train_seconds: float
    images_per_second: float
    validation: Evaluation | None = None
    ema_validation: Evaluation | None = None
    val_seconds: float = 0.0
    overflows: int = 0

    @property
    def deciding(self) -> Evaluation | None:
        """The validation that ranks this epoch among others: the EMA model's, where there is one."""
        return self.ema_validation or self.validation

    @property
    def score(self) -> float | None:
        """Top-1 accuracy of the validation that ranks this epoch."""
        return None if self.deciding is None else self.deciding.top1_accuracy

    def __str__(self) -> str:
        text = f"loss {self.train_loss:.4f}  lr {self.lr:.3g}  {self.images_per_second:.0f} images/s"
        if self.overflows:
            text += f"  {self.overflows} overflows skipped"
        if self.validation is not None:
            text += f"  |  validation: {self.validation}"
        return text if self.ema_validation is None else f"{text}  |  EMA: {self.ema_validation}"


def best_result(results: Iterable[EpochResult]) -> EpochResult | None:
    """Return the epoch with the highest top-1 accuracy, the first of equals; None if none was validated."""
    validated = [result for result in results if result.score is not None]
    return max(validated, key=lambda result: result.score or 0.0, default=None)
