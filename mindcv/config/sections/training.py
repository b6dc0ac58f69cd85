"""Options of the optimisation: rule, learning rate, gradients and moving average."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from mindcv.config.checks import ConfigError, check, check_numbers

__all__ = ["EmaConfig", "GradientConfig", "OptimizerConfig", "ScheduleConfig"]

OPTIMIZERS = Literal[
    "sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "lamb", "lion", "adagrad", "nadam"
]
NESTEROV = ("sgd", "momentum", "nesterov", "adam", "nadam")
SCHEDULERS = Literal[
    "constant",
    "cosine_decay",
    "warmup_cosine_decay",
    "step_decay",
    "multi_step_decay",
    "exponential_decay",
    "polynomial_decay",
    "one_cycle",
    "cyclic",
]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Optimizer.

    Args:
        opt: Optimizer.
        momentum: Momentum of sgd, momentum, nesterov and rmsprop.
        weight_decay: Weight decay.
        weight_decay_filter: What is spared from weight decay: disable spares nothing, auto normalisation
            layers, norm_and_bias these and all biases.
        use_nesterov: Nesterov's momentum, for sgd, momentum and adam.
        eps: Epsilon of the optimizers that have one; by default the optimizer's.
        layer_decay: Factor on the learning rate from each layer to the one before it; the classifier's is lr.
    """

    opt: OPTIMIZERS = "adam"
    momentum: float = 0.9
    weight_decay: float = 1e-6
    weight_decay_filter: Literal["disable", "auto", "norm_and_bias"] = "disable"
    use_nesterov: bool = False
    eps: float | None = None
    layer_decay: float | None = None

    def __post_init__(self) -> None:
        check_numbers(self, "give a weight from 0 to below 1", "momentum", high=0.99999)
        check_numbers(self, "give 0 or more", "weight_decay")
        check_numbers(self, "give a small positive number", "eps", low=1e-30)
        check_numbers(self, "give a factor above 0 and up to 1", "layer_decay", low=1e-6, high=1)
        if self.use_nesterov and self.opt not in NESTEROV:
            raise ConfigError(
                f"use_nesterov=True does not fit opt={self.opt}: it is for {', '.join(NESTEROV)}; "
                "set it to False"
            )
        nesterov = self.opt == "nesterov" or (self.use_nesterov and self.opt in ("sgd", "momentum"))
        if nesterov and self.momentum == 0:
            raise ConfigError("Nesterov's momentum needs one, but momentum=0.0: set it above 0")


@dataclass(frozen=True, kw_only=True)
class GradientConfig:
    """Gradients.

    Args:
        gradient_accumulation_steps: Batches to an update, with the effect of one batch as large as all of
            them together.
        clip_grad: Limit the gradients.
        clip_value: Limit, in the sense of clip_mode; usual are 15 for norm, and for agc 0.01 with batches of
            thousands of images; small ones need more.
        clip_mode: What is limited: norm the norm of all gradients together, value each element, agc each
            unit's norm in relation to its weights' (adaptive gradient clipping).
    """

    gradient_accumulation_steps: int = 1
    clip_grad: bool = False
    clip_value: float = 15.0
    clip_mode: Literal["norm", "value", "agc"] = "norm"

    def __post_init__(self) -> None:
        check_numbers(self, "give 1 or more", "gradient_accumulation_steps", low=1)
        check_numbers(self, "give a positive number", "clip_value", low=1e-9)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Length of training and learning rate.

    Args:
        epoch_size: Epochs in total.
        scheduler: How the learning rate falls after the warm-up.
        lr: Peak learning rate for the global batch.
        min_lr: Lowest learning rate of cosine_decay, polynomial_decay, one_cycle and cyclic.
        warmup_epochs: Epochs of linear ramp before the decay.
        warmup_factor: Part of lr that the ramp starts from.
        decay_epochs: Epochs of a cosine after the warm-up, by default all that are left; or the epochs
            between two steps of step_decay.
        decay_rate: Factor of a decay, or the power of polynomial_decay.
        multi_step_decay_milestones: Epochs, from the start of training, at which multi_step_decay decays.
        lr_epoch_stair: Change the learning rate once an epoch instead of at every step.
        num_cycles: Number of cosines, or of cycles.
        cycle_decay: Factor on the peak from one cosine to the next.
    """

    epoch_size: int = 90
    scheduler: SCHEDULERS = "cosine_decay"
    lr: float = 0.001
    min_lr: float = 1e-6
    warmup_epochs: int = 3
    warmup_factor: float = 0.0
    decay_epochs: float | None = None
    decay_rate: float = 0.9
    multi_step_decay_milestones: tuple[int, ...] = (30, 60, 90)
    lr_epoch_stair: bool = False
    num_cycles: int = 1
    cycle_decay: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self, "give 1 or more", "epoch_size", "num_cycles", low=1)
        check_numbers(self, "give a positive number", "lr", low=1e-30)
        check_numbers(self, "give 0 or more", "min_lr", "warmup_epochs")
        check_numbers(self, "give a positive number", "decay_epochs", "decay_rate", "cycle_decay", low=1e-6)
        check_numbers(self, "give a part of lr from 0 to 1", "warmup_factor", high=1)
        milestones = self.multi_step_decay_milestones
        ascending = all(a < b for a, b in pairwise(milestones))
        check(
            self,
            "multi_step_decay_milestones",
            ascending and all(m > 0 for m in milestones),
            "give rising epochs above 0",
        )
        if self.warmup_epochs > self.epoch_size:
            raise ConfigError(
                f"warmup_epochs={self.warmup_epochs} leaves nothing of epoch_size={self.epoch_size}: "
                "lower the warm-up or train longer"
            )
        if self.min_lr > self.lr:
            raise ConfigError(f"min_lr={self.min_lr} is above lr={self.lr}: lower min_lr or raise lr")
        if self.scheduler == "step_decay" and self.decay_epochs is None:
            raise ConfigError("scheduler=step_decay decays every decay_epochs: set it")
        if self.scheduler == "multi_step_decay" and not milestones:
            raise ConfigError(
                "scheduler=multi_step_decay needs multi_step_decay_milestones: give some epochs"
            )


@dataclass(frozen=True, kw_only=True)
class EmaConfig:
    """Moving average.

    Args:
        ema: Keep a moving average of the parameters and of batch normalisation's statistics, validate it
            too, and choose the best checkpoint by it. validate.py then scores it.
        ema_decay: Weight of the old average; the first updates have a smaller one, (1 + n) / (10 + n).
    """

    ema: bool = False
    ema_decay: float = 0.9999

    def __post_init__(self) -> None:
        check_numbers(self, "give a weight from 0 to below 1", "ema_decay", high=0.9999999)
