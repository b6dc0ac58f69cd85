"""Options of the optimization: optimizer, gradients, learning rate and EMA."""

from dataclasses import dataclass
from itertools import pairwise

from mindcv.choices import NESTEROV, ClipMode, Optimizer, Schedule, WeightDecayFilter
from mindcv.config.option import Section, check, option
from mindcv.errors import ConfigError
from mindcv.ranges import (
    AT_LEAST_ZERO,
    EPSILON,
    LAYER_DECAY,
    LR,
    MOMENTUM,
    POSITIVE,
    WARMUP_FACTOR,
    Range,
)

EPOCHS = Range(1, 100_000, "give 1 to 100000")


__all__ = ["EmaConfig", "GradientConfig", "OptimizerConfig", "ScheduleConfig"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Section):
    """Optimizer.

    Args:
        opt: Optimizer.
        momentum: Momentum of sgd, momentum, nesterov and rmsprop.
        weight_decay: Weight decay.
        weight_decay_filter: Parameters excluded from weight decay: disable excludes none, auto those of
            normalization layers, norm_and_bias these and all biases.
        nesterov: Use Nesterov momentum, in sgd, momentum and adam.
        eps: Epsilon of the optimizers that have one; by default the optimizer's.
        layer_decay: Factor on the learning rate from each layer to the one before it; the classifier trains
            with lr.
    """

    opt: Optimizer = option("adam", aliases=("optimizer",))
    momentum: float = option(0.9, range=MOMENTUM)
    weight_decay: float = option(1e-6, range=AT_LEAST_ZERO)
    weight_decay_filter: WeightDecayFilter = option("disable")
    nesterov: bool = option(False, yaml="use_nesterov", aliases=("nesterov",))
    eps: float | None = option(None, range=EPSILON)
    layer_decay: float | None = option(None, range=LAYER_DECAY)

    def check(self) -> None:
        """Check that Nesterov momentum is possible."""
        if self.nesterov and self.opt not in NESTEROV:
            raise ConfigError(
                f"use_nesterov=True does not fit opt={self.opt}: it is for {', '.join(NESTEROV)}; "
                "set it to False"
            )
        nesterov = self.opt == "nesterov" or (self.nesterov and self.opt in ("sgd", "momentum"))
        if nesterov and self.momentum == 0:
            raise ConfigError("Nesterov momentum needs momentum above 0, but momentum=0.0: raise it")


@dataclass(frozen=True, kw_only=True)
class GradientConfig(Section):
    """Gradients.

    Args:
        gradient_accumulation_steps: Batches whose gradients are accumulated for one update; the effect is
            that of one batch as large as all of them together.
        clip_grad: Clip the gradients.
        clip_value: Limit, in the sense of clip_mode; common are 15 for norm, and 0.01 for agc with batches of
            thousands of images; small batches need more.
        clip_mode: What is limited: norm the norm of all gradients together, value each element, agc the norm
            of each unit relative to that of its weights (adaptive gradient clipping).
    """

    gradient_accumulation_steps: int = option(1, range=Range(1, 65536, "give 1 to 65536 batches"))
    clip_grad: bool = option(False)
    clip_value: float = option(15.0, range=Range(1e-9, float("inf"), POSITIVE.remedy))
    clip_mode: ClipMode = option("norm")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Section):
    """Training length and learning rate.

    Args:
        num_epochs: Total number of epochs.
        scheduler: Learning-rate schedule after the warm-up.
        lr: Peak learning rate for the global batch.
        min_lr: Lowest learning rate of cosine_decay, polynomial_decay, one_cycle and cyclic.
        warmup_epochs: Length of the linear warm-up before the decay. A default that does not fit into the run
            leaves its last epoch.
        warmup_factor: Fraction of lr that the warm-up starts from.
        decay_epochs: Length of a cosine after the warm-up, by default all remaining epochs; or the epochs
            between two steps of step_decay.
        decay_rate: Factor of a decay, or the power of polynomial_decay.
        milestones: Epochs, from the start of training, at which multi_step_decay decays.
        lr_epoch_stair: Change the learning rate once per epoch instead of at every step.
        num_cycles: Number of cosines, or of cycles.
        cycle_decay: Factor on the peak from one cosine to the next.
    """

    num_epochs: int = option(
        90, yaml="epoch_size", range=EPOCHS, aliases=("epochs", "num_epochs"), unit="epochs"
    )
    scheduler: Schedule = option("cosine_decay")
    lr: float = option(0.001, range=LR, aliases=("learning_rate",))
    min_lr: float = option(1e-6, range=AT_LEAST_ZERO)
    warmup_epochs: int = option(3, range=AT_LEAST_ZERO, unit="epochs")
    warmup_factor: float = option(0.0, range=WARMUP_FACTOR)
    decay_epochs: float | None = option(None, range=POSITIVE, unit="epochs")
    decay_rate: float = option(0.9, range=POSITIVE)
    milestones: tuple[int, ...] = option(
        (30, 60, 90), yaml="multi_step_decay_milestones", aliases=("milestones",), unit="epochs"
    )
    lr_epoch_stair: bool = option(False)
    num_cycles: int = option(1, range=EPOCHS)
    cycle_decay: float = option(1.0, range=POSITIVE)

    def check(self) -> None:
        """Check that the schedule fits into the training."""
        rising = all(a < b for a, b in pairwise((0, *self.milestones)))
        check(self, "milestones", rising, "give rising epochs above 0")
        if self.warmup_epochs > self.num_epochs:
            raise ConfigError(
                f"warmup_epochs={self.warmup_epochs} leaves nothing of epoch_size={self.num_epochs}: "
                "lower the warm-up or train longer"
            )
        if self.min_lr > self.lr:
            raise ConfigError(f"min_lr={self.min_lr} is above lr={self.lr}: lower min_lr or raise lr")
        if self.scheduler == "step_decay" and self.decay_epochs is None:
            raise ConfigError("scheduler=step_decay decays every decay_epochs: set it")
        if self.scheduler == "multi_step_decay" and not self.milestones:
            raise ConfigError(
                "scheduler=multi_step_decay needs multi_step_decay_milestones: give some epochs"
            )


@dataclass(frozen=True, kw_only=True)
class EmaConfig(Section):
    """Exponential moving average (EMA).

    Args:
        ema: Keep an EMA of the parameters and of the statistics of batch normalization, validate it too, and
            choose the best checkpoint by it. validate.py then scores the EMA model.
        ema_decay: Weight of the old average; the first updates have a smaller one, (1 + n) / (10 + n).
    """

    ema: bool = option(False, scope="network")
    ema_decay: float = option(0.9999, range=Range(0, 0.9999999, MOMENTUM.remedy))
