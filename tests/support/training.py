"""A trainer with the callbacks of a run in their usual order, for tests that build its parts themselves.

Only the learning curve is left out: to draw it after each epoch takes longer than to train these networks.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import mindspore as ms

from mindcv.engine import CheckpointManager, Evaluation, Trainer
from mindcv.engine.callbacks import (
    BadImagesReport,
    Checkpointing,
    EpochReport,
    FiniteGuard,
    HistoryTable,
    Progress,
    Rollback,
    StatisticsExchange,
    Validation,
)
from mindcv.engine.training_data import TrainingData
from mindcv.step import TrainStep

__all__ = ["usual_trainer"]


def usual_trainer(
    step: TrainStep,
    data: TrainingData,
    epochs: int,
    *,
    learning_rates: Sequence[float],
    folder: Path | None = None,
    exchange: Callable[[], None] | None = None,
    validate: Callable[[], Evaluation | None] | None = None,
    val_interval: int = 1,
    checkpoints: CheckpointManager | None = None,
    rollback: Rollback | None = None,
    callbacks: Iterable[ms.Callback] = (),
    **options,
) -> Trainer:
    """Build a trainer; without a folder it reports nothing."""
    used: list[ms.Callback] = [FiniteGuard(rollback)]
    if folder is not None:
        used.append(Progress())
    if exchange is not None:
        used.append(StatisticsExchange(exchange))
    if validate is not None:
        used.append(Validation(validate, interval=val_interval))
    used.append(Checkpointing(checkpoints))
    if folder is not None:
        used += [HistoryTable(folder), EpochReport()]
    used += [BadImagesReport(), *callbacks]
    return Trainer(step, data, epochs, used, learning_rates=learning_rates, **options)
