"""The table, the curve and the closing summary of a training run."""

import csv
import shlex
from collections.abc import Sequence
from pathlib import Path

from mindcv.engine.epoch_result import EpochResult, best_result
from mindcv.engine.evaluate import Evaluation
from mindcv.engine.figures import create_figure
from mindcv.engine.run_files import read_run_file
from mindcv.files.atomic import write_atomically

__all__ = ["CURVE", "TABLE", "draw_curve", "summarize_run", "write_table"]

TABLE = "history.csv"
CURVE = "curve.png"

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


def write_table(results: Sequence[EpochResult], path: Path) -> None:
    """Write a CSV file with one row per epoch.

    Args:
        results: The epochs so far.
        path: The file to write; an existing one is replaced, once the new one is complete.

    Raises:
        OSError: If it cannot be written.
    """
    with write_atomically(path) as (partial,), partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_row(result) for result in results)


def _row(result: EpochResult) -> tuple[object, ...]:
    """Return the values of `COLUMNS`; a value that was not measured is empty."""
    return (
        result.epoch,
        result.step,
        f"{result.lr:.8g}",
        f"{result.train_loss:.6f}",
        *_cells(result.validation),
        *_cells(result.ema_validation),
        f"{result.train_seconds:.2f}",
        "" if result.deciding is None else f"{result.val_seconds:.2f}",
        f"{result.images_per_second:.1f}",
        result.overflows,
    )


def _cells(validation: Evaluation | None) -> tuple[str, str, str]:
    if validation is None:
        return ("", "", "")
    return (
        f"{validation.loss:.6f}",
        f"{validation.top1_accuracy:.6f}",
        f"{validation.top5_accuracy:.6f}",
    )


def summarize_run(results: Sequence[EpochResult], folder: str | Path, best_path: Path | None = None) -> str:
    """Return the closing lines of a run: its time, its best epoch, its files, and the next command.

    Args:
        results: The epochs of the run.
        folder: Where its table and its curve are.
        best_path: The checkpoint of its best epoch, if there is one.
    """
    seconds = sum(r.train_seconds + r.val_seconds for r in results)
    count, best = len(results), best_result(results)
    lines = [f"{count} epoch{'s' if count > 1 else ''} in {seconds:.0f} s"]
    if best is not None:
        model = "EMA, " if best.ema_validation is not None else ""
        lines.append(f"best epoch {best.epoch}: {model}{best.deciding}")
    lines.append(f"curve: {Path(folder) / CURVE}   table: {Path(folder) / TABLE}")
    if best_path is not None:
        file = read_run_file(best_path)
        if best is not None and file is not None and file.epoch != best.epoch:
            lines.append(f"{best_path} is of epoch {file.epoch}: the file of the best epoch was deleted")
        lines.append(f"next: python infer.py IMAGE --ckpt_path {shlex.quote(str(best_path))}")
    return "\n".join(lines)


def draw_curve(results: Sequence[EpochResult], path: Path) -> None:
    """Plot losses and accuracies against the epoch.

    Args:
        results: At least one epoch.
        path: The PNG file to write; an existing one is replaced, once the new one is complete.

    Raises:
        OSError: If it cannot be written.
    """
    figure = create_figure(9, 3.6)
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
    with write_atomically(path) as (partial,):
        figure.savefig(partial, dpi=100)


def _curves(results: Sequence[EpochResult]) -> dict[str, list[tuple[int, Evaluation]]]:
    """Return the validations with their epochs, of the network and of its EMA model if it was validated."""
    of_network = [(r.epoch, r.validation) for r in results if r.validation is not None]
    of_ema = [(r.epoch, r.ema_validation) for r in results if r.ema_validation is not None]
    return {"": of_network, ", EMA": of_ema} if of_ema else {"": of_network}
