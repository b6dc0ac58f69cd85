"""The train step of a run, and the exchange of batch normalisation's statistics between its ranks."""

from collections.abc import Callable

from mindspore import nn

from mindcv.config import Config
from mindcv.runtime.collectives import average_parameters, broadcast_parameters
from mindcv.runtime.session import Runtime
from mindcv.step import (
    AdaptiveClip,
    ClipByNorm,
    ClipByValue,
    Ema,
    LossScale,
    TrainStep,
    batch_norm_statistics,
    follow,
)
from mindcv.structure import classifier_parameters

__all__ = ["build_statistics_exchange", "build_train_step"]


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
    if runtime.world_size > 1:
        broadcast_parameters([*network.get_parameters(), *optimizer.get_parameters()])
        reduce = nn.DistributedGradReducer(optimizer.parameters, mean=True, degree=runtime.world_size)
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
    return AdaptiveClip(optimizer.parameters, gradient.clip_value, classifier_parameters(network))


def build_statistics_exchange(
    config: Config, network: nn.Cell, average: nn.Cell | None, runtime: Runtime
) -> Callable[[], None] | None:
    """A function that gives all ranks the same statistics of batch normalisation, if they are to."""
    if runtime.world_size == 1 or config.parallel.dist_bn == "none":
        return None
    exchange = average_parameters if config.parallel.dist_bn == "reduce" else broadcast_parameters
    statistics = batch_norm_statistics(network)
    if average is not None:
        statistics += batch_norm_statistics(average)
    return lambda: exchange(statistics)
