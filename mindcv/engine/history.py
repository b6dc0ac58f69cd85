"""What a training run has been through, epoch by epoch: a CSV file, a curve and a closing summary."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from mindcv.engine.evaluate import Evaluation

__all__ = ["EpochResult", "History"]

COLUMNS = (
    "epoch",
    "step",
    "lr",
    "train_loss",
    "val_loss",
    "top1",
    "top5",
    "ema_val_loss",
    "ema_top1",
    "ema_top5",
    "train_seconds",
    "val_seconds",
    "images_per_second",
    "overflows",
)


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """One epoch of training.

    Args:
        epoch: Epochs finished so far.
        step: Updates of the parameters so far.
        lr: Learning rate of the epoch's last update.
        train_loss: Mean training loss of the epoch's batches.
        train_seconds: Time that training took, compilation included.
        images_per_second: Training images per second over all devices.
        validation: Its validation, if there was one.
        ema_validation: That of the moving average of its weights.
        val_seconds: Time that validation took.
        overflows: Updates left out because a gradient had overflowed.
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
        """The validation that ranks this epoch among others: the moving average's, where there is one."""
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

    def row(self) -> tuple[object, ...]:
        """The values of `COLUMNS`; what was not measured is empty."""
        return (
            self.epoch,
            self.step,
            f"{self.lr:.8g}",
            f"{self.train_loss:.6f}",
            *_cells(self.validation),
            *_cells(self.ema_validation),
            f"{self.train_seconds:.2f}",
            "" if self.deciding is None else f"{self.val_seconds:.2f}",
            f"{self.images_per_second:.1f}",
            self.overflows,
        )


def _cells(validation: Evaluation | None) -> tuple[str, str, str]:
    if validation is None:
        return ("", "", "")
    return (
        f"{validation.loss:.6f}",
        f"{validation.top1_accuracy:.6f}",
        f"{validation.top5_accuracy:.6f}",
    )


class History:
    """Collects the results of a run and keeps ``history.csv`` and ``curve.png`` up to date.

    Args:
        folder: Receives both files; it must exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.csv_path = Path(folder) / "history.csv"
        self.curve_path = Path(folder) / "curve.png"
        self.results: list[EpochResult] = []

    def add(self, result: EpochResult) -> None:
        """Take in one epoch and write both files anew."""
        self.results.append(result)
        self.write()

    def restore(self, results: Iterable[EpochResult]) -> None:
        """Go on after these epochs."""
        self.results = list(results)
        if self.results:
            self.write()

    def write(self) -> None:
        """Write table and curve of the epochs so far."""
        with self.csv_path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(result.row() for result in self.results)
        draw_curve(self.results, self.curve_path)

    @property
    def best(self) -> EpochResult | None:
        """The epoch with the highest top-1 accuracy, if any was validated."""
        validated = [r for r in self.results if r.score is not None]
        return max(validated, key=lambda r: r.score or 0.0, default=None)

    def summary(self) -> str:
        """A few lines to close the run with."""
        seconds = sum(r.train_seconds + r.val_seconds for r in self.results)
        count = len(self.results)
        lines = [f"{count} epoch{'s' if count > 1 else ''} in {seconds:.0f} s"]
        if self.best is not None:
            of = "EMA, " if self.best.ema_validation is not None else ""
            lines.append(f"best epoch {self.best.epoch}: {of}{self.best.deciding}")
        return "\n".join([*lines, f"curve: {self.curve_path}   table: {self.csv_path}"])


def draw_curve(results: list[EpochResult], path: Path) -> None:
    """Plot losses and accuracies against the epoch.

    Args:
        results: At least one.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    losses.plot([r.epoch for r in results], [r.train_loss for r in results], marker=".", label="training")
    for name, validations in _curves(results).items():
        epochs = [epoch for epoch, _ in validations]
        losses.plot(epochs, [v.loss for _, v in validations], marker=".", label=f"validation{name}")
        accuracies.plot(epochs, [v.top1_accuracy for _, v in validations], marker=".", label=f"top-1{name}")
        accuracies.plot(epochs, [v.top5_accuracy for _, v in validations], marker=".", label=f"top-5{name}")
    losses.set(xlabel="epoch", ylabel="loss")
    losses.legend()
    accuracies.set(xlabel="epoch", ylabel="validation accuracy", ylim=(0, 1))
    accuracies.legend(loc="lower right")
    figure.savefig(path, dpi=100)


def _curves(results: list[EpochResult]) -> dict[str, list[tuple[int, Evaluation]]]:
    """The validations with their epochs, of the network and, if there are any, of its moving average."""
    of_network = [(r.epoch, r.validation) for r in results if r.validation is not None]
    of_ema = [(r.epoch, r.ema_validation) for r in results if r.ema_validation is not None]
    return {"": of_network, ", EMA": of_ema} if of_ema else {"": of_network}
