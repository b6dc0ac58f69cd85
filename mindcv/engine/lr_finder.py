"""The learning-rate range test: increase the rate during training, and find where the loss falls fastest.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks" (arXiv 1506.01186), with the exponential
rise and the smoothed loss of Howard and Gugger's fastai.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mindcv.engine.figures import create_figure
from mindcv.engine.training_data import TrainingData
from mindcv.errors import UserError
from mindcv.step.train_step import TrainStep

__all__ = ["RangeTest", "Suggestion", "exponential_rates", "run_range_test", "smooth", "suggest"]

FEWEST_STEPS = 10
EXPLOSION = 4.0  # the test ends when the loss is this many times the lowest one

# The smoothed loss lags 1 / (1 - weight) steps behind: at fastai's 0.98 that would be half of a test of 100
# steps, several powers of ten.
SMOOTHING = 0.9


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """Learning rates that a range test suggests.

    Args:
        steepest: Learning rate at which the loss falls fastest against the logarithm of the rate.
        lowest: Learning rate at which the loss is lowest; beyond it training becomes unstable.
    """

    steepest: float
    lowest: float

    def __str__(self) -> str:
        return (
            f"suggested lr: {self.steepest:.3g} (steepest descent)\n"
            f"a tenth of the lr of the lowest loss: {self.lowest / 10:.3g}"
        )


@dataclass(frozen=True, kw_only=True)
class RangeTest:
    """The steps of a range test.

    Args:
        rates: Learning rates.
        losses: Loss of the batch at each of them, before the step.
        smoothed: The smoothed loss, see `smooth`.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]

    @property
    def suggestion(self) -> Suggestion | None:
        """The suggested learning rates, see `suggest`."""
        return suggest(self.rates, self.smoothed)

    def write(self, folder: str | Path) -> tuple[Path, Path]:
        """Write ``lr_finder.csv`` and ``lr_finder.png``.

        Args:
            folder: Receives both files; it must exist.

        Returns:
            The paths of the table and of the plot.
        """
        table, plot = Path(folder) / "lr_finder.csv", Path(folder) / "lr_finder.png"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("step", "lr", "loss", "smoothed_loss"))
            rows = zip(count(1), self.rates, self.losses, self.smoothed, strict=False)
            writer.writerows((i, f"{lr:.8g}", f"{loss:.6f}", f"{mean:.6f}") for i, lr, loss, mean in rows)
        draw(self, plot)
        return table, plot


def exponential_rates(lowest: float, highest: float, steps: int) -> list[float]:
    """Return learning rates from `lowest` to `highest`, with a constant ratio.

    Raises:
        UserError: If they do not rise, or there are too few.
    """
    if not 0 < lowest < highest < inf:
        raise UserError(
            f"lowest_lr={lowest:g} and highest_lr={highest:g} are not a range: give two numbers above 0, "
            "the lower one first"
        )
    if steps < FEWEST_STEPS:
        raise UserError(f"steps={steps} are too few to see a trend: give {FEWEST_STEPS} or more")
    return np.geomspace(lowest, highest, steps).tolist()


def smooth(losses: Sequence[float], weight: float = SMOOTHING) -> list[float]:
    """Return exponential moving averages, corrected for the bias towards their initial zero.

    Args:
        losses: Losses in their order.
        weight: Weight of the past, in [0, 1).

    Returns:
        ``sum(weight ** (i - j) * losses[j]) / sum(weight ** (i - j))`` over j up to i, for each i.
    """
    means, total, mass = [], 0.0, 0.0
    for loss in losses:
        total, mass = weight * total + loss, weight * mass + 1
        means.append(total / mass)
    return means


def suggest(rates: Sequence[float], smoothed: Sequence[float]) -> Suggestion | None:
    """Find where the loss falls fastest and where it is lowest.

    The first tenth of the steps is skipped, because few losses are averaged there; the steepest descent is
    searched from there to the minimum.

    Args:
        rates: Rising learning rates.
        smoothed: Smoothed losses.

    Returns:
        The suggestion, or None where the loss does not fall.
    """
    start = len(smoothed) // 10
    lowest = start + int(np.argmin(smoothed[start:])) if smoothed else 0
    if lowest - start < 2:
        return None
    slopes = np.gradient(smoothed, np.log(rates))
    steepest = start + int(np.argmin(slopes[start : lowest + 1]))
    return Suggestion(steepest=rates[steepest], lowest=rates[lowest])


def run_range_test(
    step: TrainStep,
    data: TrainingData,
    rates: Sequence[float],
    *,
    combine: Callable[[float], float] = lambda loss: loss,
    silent: bool = False,
) -> RangeTest:
    """Train with rising learning rates until they end or the loss explodes.

    Args:
        step: A `TrainStep`, whose optimizer has the learning rates as its table.
        data: The training images; as many epochs as are needed.
        rates: The optimizer's learning rates, one per update.
        combine: Takes the loss on this device and returns the mean over all devices, so that all stop at the
            same step.
        silent: Hide the progress bar.

    Raises:
        UserError: If an image cannot be read.
    """
    step.set_train()
    losses: list[float] = []
    smoothed: list[float] = []
    lowest = inf
    bar = tqdm(total=len(rates), desc="range test", unit="step", leave=False, disable=silent or None)
    try:
        batches = _batches(data)
        for rate in rates:
            update = [float(step(*next(batches)).asnumpy()) for _ in range(step.accumulation)]
            loss = combine(sum(update) / len(update))
            if not isfinite(loss):
                break
            losses.append(loss)
            smoothed = smooth(losses)
            lowest = min(lowest, smoothed[-1])
            bar.update()
            bar.set_postfix(loss=f"{smoothed[-1]:.3f}", lr=f"{rate:.3g}")
            if smoothed[-1] > EXPLOSION * lowest:
                break
    except RuntimeError as error:
        raise data.explain(error) from error
    finally:
        bar.close()
    return RangeTest(rates=tuple(rates[: len(losses)]), losses=tuple(losses), smoothed=tuple(smoothed))


def _batches(data: TrainingData) -> Iterator[Any]:
    for epoch in count():
        yield from data.epoch(epoch).create_tuple_iterator(num_epochs=1)


def draw(test: RangeTest, path: Path) -> None:
    """Plot the losses against the logarithm of the learning rate, and mark the suggestion.

    Args:
        test: At least one step.
        path: The PNG file to write.
    """
    figure = create_figure(6, 3.6)
    axes = figure.subplots()
    axes.plot(test.rates, test.losses, color="lightgrey", label="loss of a batch")
    axes.plot(test.rates, test.smoothed, label="smoothed")
    suggestion = test.suggestion
    if suggestion is not None:
        steepest, tenth = suggestion.steepest, suggestion.lowest / 10
        axes.axvline(steepest, color="tab:green", label=f"steepest descent: {steepest:.3g}")
        axes.axvline(tenth, color="tab:orange", label=f"a tenth of the lowest's: {tenth:.3g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
    axes.set_ylim(0, 1.5 * max(test.smoothed[:1] or (1.0,)))
    axes.legend()
    figure.savefig(path, dpi=100)
