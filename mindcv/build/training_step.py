"""The train step of a run, and what its ranks exchange besides gradients."""

from collections.abc import Callable

from mindspore import nn

from mindcv.config import Config
from mindcv.runtime.collectives import average_parameters, broadcast_parameters
from mindcv.runtime.session import Runtime
from mindcv.step import (
    AdaptiveClip,
    BucketReducer,
    ClipByNorm,
    ClipByValue,
    Ema,
    LossScale,
    TrainStep,
    batch_norm_statistics,
    initialize_ema_model,
)
from mindcv.structure import classifier_parameters

__all__ = ["broadcast_initial_values", "build_statistics_exchange", "build_train_step"]


def broadcast_initial_values(network: nn.Cell, optimizer: nn.Optimizer, runtime: Runtime) -> None:
    """Give all ranks the values that rank 0 starts from."""
    if runtime.world_size > 1:
        broadcast_parameters([*network.get_parameters(), *optimizer.get_parameters()])


def build_train_step(
    config: Config,
    network: nn.Cell,
    forward: nn.Cell,
    optimizer: nn.Optimizer,
    ema_model: nn.Cell | None,
    runtime: Runtime,
) -> TrainStep:
    """Return the step that learns from a batch of images.

    The ranks must have the same values, see `broadcast_initial_values`: the EMA model starts from them.

    Args:
        config: Options.
        network: The unwrapped network.
        forward: The network with its loss, as from `build_forward`.
        optimizer: The optimizer of the network's parameters.
        ema_model: Its EMA model, if there is one.
        runtime: This process.
    """
    reduce = None
    if runtime.world_size > 1:
        reduce = _reducer(optimizer, runtime)
    ema = None
    if ema_model is not None:
        initialize_ema_model(ema_model, network)
        ema = Ema(network, ema_model, config.ema.ema_decay)
    precision = config.precision
    return TrainStep(
        forward,
        optimizer,
        reduce=reduce,
        loss_scale=LossScale(
            precision.initial_loss_scale, dynamic=precision.dynamic, skip=precision.drop_overflow_update
        ),
        accumulation=config.gradient.gradient_accumulation_steps,
        clip=_clip(config, network, optimizer),
        ema=ema,
    )


def _reducer(optimizer: nn.Optimizer, runtime: Runtime) -> nn.Cell:
    """Return what averages the gradients: accelerators join messages themselves."""
    if runtime.device == "CPU":
        return BucketReducer(optimizer.parameters, runtime.world_size)
    return nn.DistributedGradReducer(optimizer.parameters, mean=True, degree=runtime.world_size)


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
    config: Config, network: nn.Cell, ema_model: nn.Cell | None, runtime: Runtime
) -> Callable[[], None] | None:
    """Return a function that gives all ranks the same statistics of batch normalisation.

    None where they keep their own, or where there is one rank.
    """
    if runtime.world_size == 1 or config.parallel.dist_bn == "none":
        return None
    exchange = average_parameters if config.parallel.dist_bn == "reduce" else broadcast_parameters
    statistics = batch_norm_statistics(network)
    if ema_model is not None:
        statistics += batch_norm_statistics(ema_model)
    return lambda: exchange(statistics)
