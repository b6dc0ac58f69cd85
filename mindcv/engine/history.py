"""What a training run has been through, epoch by epoch: a CSV file, a curve and a closing summary."""

import csv
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
    "train_seconds",
    "val_seconds",
    "images_per_second",
)


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """One epoch of training.

    Args:
        epoch: Epochs finished so far.
        step: Optimizer steps finished so far.
        lr: Learning rate of the epoch's last step.
        train_loss: Mean training loss of the epoch's steps.
        train_seconds: Time that training took, compilation included.
        images_per_second: Training images per second over all devices.
        validation: Its validation, if there was one.
        val_seconds: Time that validation took.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    train_seconds: float
    images_per_second: float
    validation: Evaluation | None = None
    val_seconds: float = 0.0

    def __str__(self) -> str:
        text = f"loss {self.train_loss:.4f}  lr {self.lr:.3g}  {self.images_per_second:.0f} images/s"
        return text if self.validation is None else f"{text}  |  validation: {self.validation}"

    def row(self) -> tuple[object, ...]:
        """The values of `COLUMNS`; what was not measured is empty."""
        val = self.validation
        return (
            self.epoch,
            self.step,
            f"{self.lr:.8g}",
            f"{self.train_loss:.6f}",
            "" if val is None else f"{val.loss:.6f}",
            "" if val is None else f"{val.top1_accuracy:.6f}",
            "" if val is None else f"{val.top5_accuracy:.6f}",
            f"{self.train_seconds:.2f}",
            "" if val is None else f"{self.val_seconds:.2f}",
            f"{self.images_per_second:.1f}",
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
        with self.csv_path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(result.row() for result in self.results)
        draw_curve(self.results, self.curve_path)

    @property
    def best(self) -> EpochResult | None:
        """The epoch with the highest top-1 accuracy, if any was validated."""
        validated = [r for r in self.results if r.validation is not None]
        return max(validated, key=lambda r: r.validation.top1, default=None)  # type: ignore[union-attr]

    def summary(self) -> str:
        """A few lines to close the run with."""
        seconds = sum(r.train_seconds + r.val_seconds for r in self.results)
        count = len(self.results)
        lines = [f"{count} epoch{'s' if count > 1 else ''} in {seconds:.0f} s"]
        if self.best is not None:
            lines.append(f"best epoch {self.best.epoch}: {self.best.validation}")
        return "\n".join([*lines, f"curve: {self.curve_path}   table: {self.csv_path}"])


def draw_curve(results: list[EpochResult], path: Path) -> None:
    """Plot losses and accuracies against the epoch.

    Args:
        results: At least one.
        path: The PNG file to write.
    """
    validated = [(r.epoch, r.validation) for r in results if r.validation is not None]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    losses.plot([r.epoch for r in results], [r.train_loss for r in results], marker=".", label="training")
    losses.plot([e for e, _ in validated], [v.loss for _, v in validated], marker=".", label="validation")
    losses.set(xlabel="epoch", ylabel="loss")
    losses.legend()
    accuracies.plot(
        [e for e, _ in validated], [v.top1_accuracy for _, v in validated], marker=".", label="top-1"
    )
    accuracies.plot(
        [e for e, _ in validated], [v.top5_accuracy for _, v in validated], marker=".", label="top-5"
    )
    accuracies.set(xlabel="epoch", ylabel="validation accuracy", ylim=(0, 1))
    accuracies.legend(loc="lower right")
    figure.savefig(path, dpi=100)
