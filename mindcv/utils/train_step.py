"""The package's train step, built from MindCV's arguments."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import EMA_PREFIX
from mindcv.step import ClipByNorm, Ema, LossScale
from mindcv.step import TrainStep as Step
from mindcv.utils.reduce_manager import world_size

__all__ = ["TrainStep"]


class TrainStep(Step):
    """One step of training for `mindspore.Model`, see `mindcv.step.TrainStep`.

    Args:
        network: The network with its loss: takes the columns of a batch and returns a scalar.
        optimizer: Updates the network's parameters. Its own ``loss_scale`` divides the gradients too: leave
            it at 1.
        scale_sense: Loss scale: a number or a scalar tensor, `mindspore.nn.FixedLossScaleUpdateCell`, whose
            updates are skipped at an overflow, or `mindspore.nn.DynamicLossScaleUpdateCell`.
        ema: Whether to update an exponential moving average of the network's parameters.
        ema_decay: Weight of the old average, in [0, 1).
        clip_grad: Whether to limit the gradients' common norm.
        clip_value: Largest norm.
        gradient_accumulation_steps: Batches whose gradients are averaged for one update.

    Attributes:
        ema_weight: The EMA of each parameter in `weights_all`; empty without EMA.
        weights_all: The parameters of the network, statistics of batch normalization included.

    Raises:
        TypeError: ``scale_sense`` is none of these.
        UserError: A number is out of range.
    """

    def __init__(
        self,
        network: nn.Cell,
        optimizer: nn.Optimizer,
        scale_sense: float | Tensor | nn.Cell = 1.0,
        ema: bool = False,
        ema_decay: float = 0.9999,
        clip_grad: bool = False,
        clip_value: float = 15.0,
        gradient_accumulation_steps: int = 1,
    ) -> None:
        check_numbers(ema_decay, clip_value, gradient_accumulation_steps)
        weights = list(network.get_parameters())
        values = _Values(weights) if ema else None
        ranks = world_size()
        super().__init__(
            network,
            optimizer,
            reduce=nn.DistributedGradReducer(optimizer.parameters, mean=True, degree=ranks)
            if ranks > 1
            else None,
            loss_scale=_loss_scale(scale_sense),
            accumulation=gradient_accumulation_steps,
            clip=ClipByNorm(clip_value) if clip_grad else None,
            ema=None if values is None else Ema(network, values, ema_decay),
        )
        self.weights_all = ParameterTuple(weights)
        self.ema_weight = ParameterTuple(() if values is None else values.get_parameters())

    @property
    def network(self) -> nn.Cell:
        """The network with its loss."""
        return self.forward

    @property
    def scale_sense(self) -> Tensor:
        """The loss scale, a scalar."""
        return self.loss_scale.value


class _Values(nn.Cell):
    """Copies of parameters, named after them with the prefix of an EMA model."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.copies = ParameterTuple(
            Parameter(Tensor(p.asnumpy()), name=EMA_PREFIX + p.name, requires_grad=False) for p in parameters
        )


def check_numbers(ema_decay: float, clip_value: float, gradient_accumulation_steps: int) -> None:
    """Refuse numbers that no train step can have.

    Raises:
        UserError: A number is out of range.
    """
    if not 0 <= ema_decay < 1:
        raise UserError(f"ema_decay={ema_decay} is out of range: give a fraction from 0 to below 1")
    if not clip_value > 0:
        raise UserError(f"clip_value={clip_value} is out of range: give a positive norm")
    if not isinstance(gradient_accumulation_steps, int) or gradient_accumulation_steps < 1:
        raise UserError(
            f"gradient_accumulation_steps={gradient_accumulation_steps!r} must be a positive integer"
        )


def _loss_scale(scale_sense: Any) -> LossScale:
    """Return the loss scale that a number, a tensor or one of MindSpore's cells stands for."""
    if isinstance(scale_sense, nn.DynamicLossScaleUpdateCell):
        if scale_sense.scale_factor != 2:
            raise UserError(f"scale_factor={scale_sense.scale_factor} is not supported: give 2")
        value, window = scale_sense.get_loss_scale(), scale_sense.scale_window
        return LossScale(float(value), dynamic=True, window=window)
    if isinstance(scale_sense, nn.FixedLossScaleUpdateCell):
        return LossScale(float(scale_sense.get_loss_scale()), skip=True)
    if isinstance(scale_sense, Tensor):
        if scale_sense.size != 1:
            raise UserError(f"scale_sense has the shape {scale_sense.shape}: give a scalar")
        return LossScale(float(scale_sense.astype(ms.float32).asnumpy().item()))
    if isinstance(scale_sense, Real):
        return LossScale(float(scale_sense))
    raise TypeError(
        f"scale_sense has the type {type(scale_sense).__name__}: give a number, a scalar tensor, "
        "nn.FixedLossScaleUpdateCell or nn.DynamicLossScaleUpdateCell"
    )
