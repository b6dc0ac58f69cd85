"""The callbacks of a training run."""

import math
from collections.abc import Callable, Sequence
from types import FunctionType

import mindspore as ms
import numpy as np
from mindspore import nn

from mindcv.build.evaluation import build_validations
from mindcv.build.pipelines import build_validation_data
from mindcv.build.reporting import build_final_report, build_recorder
from mindcv.build.training_step import build_statistics_exchange
from mindcv.config import Config
from mindcv.config.yaml_file import dump_mapping
from mindcv.engine import CheckpointManager
from mindcv.engine.callbacks import (
    BadImagesReport,
    Checkpointing,
    EpochReport,
    FiniteGuard,
    HistoryTable,
    LearningCurve,
    MetricsLog,
    Opening,
    OptionsFile,
    Progress,
    Rollback,
    SaveSchedule,
    StatisticsExchange,
    Stopping,
    Validation,
)
from mindcv.errors import UserError
from mindcv.runtime.interrupt import StopRequest
from mindcv.runtime.session import Runtime

__all__ = ["build_callbacks", "check_callbacks"]


def check_callbacks(callbacks: Sequence[ms.Callback]) -> None:
    """Reject user callbacks of a wrong type.

    Raises:
        UserError: If it is not a list, or if one of them is no instance of `mindspore.Callback`.
    """
    remedy = "give instances of mindspore.Callback"
    if not isinstance(callbacks, (list, tuple)):
        raise UserError(f"callbacks={_described(callbacks)} is not a list: {remedy} in a list")
    for i, callback in enumerate(callbacks):
        if not isinstance(callback, ms.Callback):
            raise UserError(f"callbacks[{i}]={_described(callback)} is not a callback: {remedy}")


def _described(value: object) -> str:
    """A value as its author knows it: an instance of a class by the name of the class."""
    if value is None or isinstance(value, str):
        return repr(value)
    if isinstance(value, type):
        return f"class {value.__name__}"
    if isinstance(value, FunctionType):
        return f"function {value.__name__}"
    return f"{type(value).__name__}(...)"


def build_callbacks(
    config: Config,
    network: nn.Cell,
    ema_model: nn.Cell | None,
    checkpoints: CheckpointManager | None,
    rollback: Rollback | None,
    runtime: Runtime,
    callbacks: Sequence[ms.Callback] = (),
    *,
    opening: Sequence[str] = (),
) -> list[ms.Callback]:
    """Return all callbacks of a run in their order.

    An epoch's checkpoint is written first, then the table, the curve and the lines of text, so that none of
    these, and no callback of the user's, costs a checkpoint by failing.

    Args:
        config: Options.
        network: The unwrapped network.
        ema_model: Its EMA model, if there is one.
        checkpoints: Writes checkpoints; None on a rank that writes none.
        rollback: Restores an earlier state, see `build_rollback`.
        runtime: This process.
        callbacks: The user's own; they are called last, before the run may stop.
        opening: Lines to print when training begins.
    """
    any_rank = _any_rank(runtime)
    look_every = _look_every(config, runtime)
    stopping = Stopping(StopRequest(speaks=runtime.is_main), any_rank=any_rank, look_every=look_every)
    exchange = build_statistics_exchange(config, network, ema_model, runtime)
    data = build_validation_data(config, runtime) if config.validation.val_while_train else None
    recorder = None if data is None else build_recorder(data)
    validate, validate_ema = build_validations(
        config, network, ema_model, runtime, stopping.signal, data, recorder
    )
    schedule = SaveSchedule(
        every_updates=config.recovery.ckpt_save_steps,
        every_seconds=60 * config.recovery.ckpt_save_minutes,
        look_every=look_every,
    )
    built: list[ms.Callback] = [FiniteGuard(rollback, any_rank=any_rank)]
    if runtime.is_main:
        text = dump_mapping(config.options())
        built += [OptionsFile(config.checkpoint.folder, text), Opening(opening), Progress()]
    if exchange is not None:
        built.append(StatisticsExchange(exchange))
    if validate is not None:
        interval = config.validation.val_interval
        built.append(Validation(validate, validate_ema, interval=interval, stop_requested=stopping.requested))
    built.append(Checkpointing(checkpoints, schedule, any_rank=any_rank))
    if runtime.is_main:
        folder = config.checkpoint.folder
        built += [HistoryTable(folder), MetricsLog(folder), LearningCurve(folder), EpochReport()]
    report = build_final_report(config, network, data, recorder, runtime)
    return [*built, BadImagesReport(), *callbacks, report, stopping]


def _any_rank(runtime: Runtime) -> Callable[[bool], bool]:
    """Return a function that tells whether a flag is raised on any rank."""
    return lambda flag: bool(runtime.sum_over_ranks(np.array([flag], np.float64))[0] > 0)


def _look_every(config: Config, runtime: Runtime) -> int:
    """Updates between two looks at the clock and at signals, for which the ranks wait for each other."""
    # On a CPU a look costs nothing beside a step.
    if runtime.world_size == 1 or runtime.device == "CPU":
        return 1
    return math.gcd(config.system.log_interval, config.recovery.ckpt_save_steps)
