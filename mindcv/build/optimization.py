"""What moves the parameters of a run: learning rates, optimizer and train step."""

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
    "build_statistics_exchange",
    "build_train_step",
    "learning_rate_factor",
]

logger = logging.getLogger("mindcv.build")


def learning_rate_factor(config: Config, runtime: Runtime) -> float:
    """What the learning rates are multiplied by for the global batch."""
    parallel = config.parallel
    return scale_for_batch(parallel.lr_scale, _global_batch(config, runtime), parallel.lr_scale_batch)


def _global_batch(config: Config, runtime: Runtime) -> int:
    return config.data.batch_size * runtime.size * config.gradient.gradient_accumulation_steps


def build_learning_rates(config: Config, updates_per_epoch: int, runtime: Runtime) -> list[float]:
    """The learning rate of every update, for the global batch."""
    schedule = config.schedule
    factor = learning_rate_factor(config, runtime)
    if runtime.is_main:
        accumulation = config.gradient.gradient_accumulation_steps
        factors = [runtime.size, config.data.batch_size, *([accumulation] if accumulation > 1 else [])]
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


def build_train_step(
    config: Config,
    network: nn.Cell,
    forward: nn.Cell,
    optimizer: nn.Optimizer,
    average: nn.Cell | None,
    runtime: Runtime,
) -> TrainStep:
    """The step that learns from a batch of images; all ranks start from rank 0's values.

    Args:
        config: Options.
        network: The bare network.
        forward: It with its loss, as from `build_forward`.
        optimizer: Of the network's parameters.
        average: The network that follows it, if one does.
        runtime: This process.
    """
    reduce = None
    if runtime.size > 1:
        broadcast_parameters([*network.get_parameters(), *optimizer.get_parameters()])
        reduce = nn.DistributedGradReducer(optimizer.parameters, mean=True, degree=runtime.size)
    ema = None
    if average is not None:
        follow(average, network)
        ema = Ema(network, average, config.ema.ema_decay)
    precision = config.precision
    return TrainStep(
        forward,
        optimizer,
        reduce=reduce,
        loss_scale=LossScale(
            precision.loss_scale, dynamic=precision.dynamic, skip=precision.drop_overflow_update
        ),
        accumulation=config.gradient.gradient_accumulation_steps,
        clip=_clip(config, network, optimizer),
        ema=ema,
    )


def _clip(config: Config, network: nn.Cell, optimizer: nn.Optimizer) -> nn.Cell | None:
    gradient = config.gradient
    if not gradient.clip_grad:
        return None
    if gradient.clip_mode == "norm":
        return ClipByNorm(gradient.clip_value)
    if gradient.clip_mode == "value":
        return ClipByValue(gradient.clip_value)
    classifier = getattr(network, "classifier", None)
    spared = [] if classifier is None else list(classifier.get_parameters())
    return AdaptiveClip(optimizer.parameters, gradient.clip_value, spared)


def build_statistics_exchange(
    config: Config, network: nn.Cell, average: nn.Cell | None, runtime: Runtime
) -> Callable[[], None] | None:
    """A function that gives all ranks the same statistics of batch normalisation, if they are to."""
    if runtime.size == 1 or config.parallel.dist_bn == "none":
        return None
    exchange = average_parameters if config.parallel.dist_bn == "reduce" else broadcast_parameters
    statistics = batch_norm_statistics(network)
    if average is not None:
        statistics += batch_norm_statistics(average)
    return lambda: exchange(statistics)
