"""The progress of a run while it trains: a bar in a terminal, lines elsewhere."""

import sys
from math import isfinite
from time import perf_counter
from typing import Any

import mindspore as ms
from tqdm import tqdm

from mindcv.engine.callbacks.run_callback import RunCallback, run_state
from mindcv.engine.run_state import Interval, RunState
from mindcv.runtime.machine import seconds_since_start
from mindcv.runtime.progress import clock_time

__all__ = ["COMPILING", "Progress", "seconds_left"]

COMPILING = "compiling the graph"


class Progress(RunCallback):
    """Shows a bar per epoch if standard error is a terminal, and else prints a line per interval.

    Both tell the loss, the learning rate, the speed, and the time until the end of training. The first step
    of a graph is announced, because nothing moves while it is compiled; the lines also tell how long it took.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bar: tqdm | None = None
        self.in_terminal = sys.stderr is not None and sys.stderr.isatty()
        self.compiled = False
        self.compiles_since = 0.0

    def on_train_epoch_begin(self, run_context: Any) -> None:
        """Show a new bar."""
        run = run_state(run_context)
        if self.in_terminal:
            total, done = run.data.steps_per_epoch, run.batch
            self.bar = tqdm(total=total, initial=done, desc=_epoch(run), unit="step", leave=False)

    def on_train_step_begin(self, run_context: Any) -> None:
        """Announce the compilation."""
        if self.compiled or ms.get_context("mode") != ms.GRAPH_MODE:
            return
        if self.bar is not None:
            self.bar.set_description(f"{_epoch(run_state(run_context))}, {COMPILING}")
        else:
            tqdm.write(f"{COMPILING} ...")
            sys.stdout.flush()
            self.compiles_since = perf_counter()

    def on_train_step_end(self, run_context: Any) -> None:
        """Move the bar."""
        run = run_state(run_context)
        if self.bar is not None:
            if not self.compiled:
                self.bar.set_description(_epoch(run))
            self.bar.update(run.data.steps_per_epoch if run.sinks else 1)
        elif self.compiles_since and not self.compiled:
            total = seconds_since_start()
            after = "" if total is None else f", {total:.1f} s after the start of the program"
            tqdm.write(f"first step done in {perf_counter() - self.compiles_since:.1f} s{after}")
        self.compiled = True

    def on_interval(self, run: RunState) -> None:
        """Show the latest loss, learning rate and speed."""
        if run.interval is None:
            return
        if self.bar is not None:
            self.bar.set_postfix_str(_described(run.interval, seconds_left(run)))
        elif run.interval.batch < run.data.steps_per_epoch:  # the epoch's own line follows at its end
            step = f"step {run.interval.batch}/{run.data.steps_per_epoch}"
            tqdm.write(f"{_epoch(run)}  {step}  {_described(run.interval, seconds_left(run))}")
            sys.stdout.flush()

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Remove the bar."""
        self.close()

    def on_restart(self, run: RunState) -> None:
        """Remove the bar of an epoch that did not end."""
        self.close()

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def seconds_left(run: RunState) -> float | None:
    """Estimate the time until the end of training, from the last interval and the validations so far.

    Returns:
        Seconds; None before the first interval.
    """
    if run.interval is None:
        return None
    batches = run.epochs * run.data.steps_per_epoch - run.batches
    validations = [result.val_seconds for result in run.results]
    per_epoch = sum(validations) / len(validations) if validations else 0.0
    epochs = run.epochs - len(run.results)
    return batches * run.interval.seconds / run.interval.batches + epochs * per_epoch


def _epoch(run: RunState) -> str:
    return f"epoch {run.epoch}/{run.epochs}"


def _described(interval: Interval, left: float | None) -> str:
    finite = [loss for loss in interval.losses if isfinite(loss)]
    loss = f"loss {sum(finite) / len(finite):.4f}" if finite else "loss is not finite"
    parts = [loss, f"lr {interval.lr:.3g}", f"{interval.images_per_second:.0f} images/s"]
    if interval.waiting is not None:
        parts.append(f"{interval.waiting:.0%} waiting for data")
    if left is not None:
        parts.append(f"{clock_time(left)} left")
    return "  ".join(parts)
