"""The learning rates and the optimizer of a run."""

import logging
from math import inf

from mindspore import nn

from mindcv.config import Config
from mindcv.errors import UserError
from mindcv.optim import create_optimizer
from mindcv.runtime.session import Runtime
from mindcv.scheduler import create_scheduler, scale_for_batch

__all__ = [
    "build_learning_rates",
    "build_optimizer",
    "learning_rate_factor",
]

MOST_UPDATES = 50_000_000  # their learning rates take 2 GB while they are computed
LARGEST_RATE = 1e38  # of float32

logger = logging.getLogger("mindcv.build")


def learning_rate_factor(config: Config, runtime: Runtime) -> float:
    """Return the factor on the learning rates for the global batch size."""
    parallel = config.parallel
    return scale_for_batch(parallel.lr_scale, _global_batch(config, runtime), parallel.lr_scale_batch)


def _global_batch(config: Config, runtime: Runtime) -> int:
    return config.data.batch_size * runtime.world_size * config.gradient.gradient_accumulation_steps


def build_learning_rates(config: Config, updates_per_epoch: int, runtime: Runtime) -> list[float]:
    """Compute the learning rate of every update, for the global batch, and log the peak.

    Raises:
        UserError: If there are more updates than memory holds rates, or a rate exceeds what float32 holds.
    """
    schedule = config.schedule
    updates = schedule.num_epochs * updates_per_epoch
    if updates > MOST_UPDATES:
        raise UserError(
            f"epoch_size={schedule.num_epochs} makes {updates} updates, more than {MOST_UPDATES}: lower it"
        )
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
    scaled = {"lr": schedule.lr * factor, "min_lr": schedule.min_lr * factor}
    try:
        rates = create_scheduler(updates_per_epoch, **{**vars(schedule), **scaled})
    except OverflowError:
        rates = [inf]
    if max(rates) > LARGEST_RATE:
        raise UserError(
            f"decay_rate={schedule.decay_rate}, cycle_decay={schedule.cycle_decay} and lr={schedule.lr} make "
            f"the learning rate exceed {LARGEST_RATE:g}: lower them"
        )
    return rates


def build_optimizer(config: Config, network: nn.Cell, learning_rates: list[float]) -> nn.Optimizer:
    """Create the optimizer of the network's trainable parameters."""
    return create_optimizer(network, lr=learning_rates, **vars(config.optimizer))
