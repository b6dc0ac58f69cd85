"""The learning rates and the optimizer of a run."""

import logging
from collections.abc import Callable

from mindspore import nn

from mindcv.config import Config
from mindcv.step import (AdaptiveClip, ClipByNorm, ClipByValue, Ema, LossScale, TrainStep, batch_norm_statistics, follow,)
from mindcv.optim import create_optimizer
from mindcv.runtime.collectives import average_parameters, broadcast_parameters
from mindcv.runtime.session import Runtime
from mindcv.scheduler import create_scheduler, scale_for_batch

__all__ = [
    "build_learning_rates",
    "build_optimizer",
    "learning_rate_factor",
]

logger = logging.getLogger("mindcv.build")


def learning_rate_factor(config: Config, runtime: Runtime) -> float:
    """What the learning rates are multiplied by for the global batch."""
    parallel = config.parallel
    return scale_for_batch(parallel.lr_scale, _global_batch(config, runtime), parallel.lr_scale_batch)


def _global_batch(config: Config, runtime: Runtime) -> int:
    return config.data.batch_size * runtime.world_size * config.gradient.gradient_accumulation_steps


def build_learning_rates(config: Config, updates_per_epoch: int, runtime: Runtime) -> list[float]:
    """The learning rate of every update, for the global batch."""
    schedule = config.schedule
    factor = learning_rate_factor(config, runtime)
    if runtime.is_main:
        accumulation = config.gradient.gradient_accumulation_steps
        factors = [runtime.world_size, config.data.batch_size, *([accumulation] if accumulation > 1 else [])]
        logger.info(
            "global batch %d = %s, peak lr %g",
            _global_batch(config, runtime),
            " x ".join(map(str, factors)),
            schedule.lr * factor,
        )
    return create_scheduler(
        updates_per_epoch,
        scheduler=schedule.scheduler,
        lr=schedule.lr * factor,
        min_lr=schedule.min_lr * factor,
        warmup_epochs=schedule.warmup_epochs,
        warmup_factor=schedule.warmup_factor,
        decay_epochs=schedule.decay_epochs,
        decay_rate=schedule.decay_rate,
        milestones=schedule.multi_step_decay_milestones,
        num_epochs=schedule.epoch_size,
        num_cycles=schedule.num_cycles,
        cycle_decay=schedule.cycle_decay,
        lr_epoch_stair=schedule.lr_epoch_stair,
    )


def build_optimizer(config: Config, network: nn.Cell, learning_rates: list[float]) -> nn.Optimizer:
    """The optimizer of the network's parameters."""
    optimizer = config.optimizer
    return create_optimizer(
        network,
        opt=optimizer.opt,
        lr=learning_rates,
        weight_decay=optimizer.weight_decay,
        momentum=optimizer.momentum,
        nesterov=optimizer.use_nesterov,
        weight_decay_filter=optimizer.weight_decay_filter,
        eps=optimizer.eps,
        layer_decay=optimizer.layer_decay,
    )
