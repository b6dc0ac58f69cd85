"""Base of the optimizers of this package: learning-rate tables, and the bookkeeping of an update."""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.nn.learning_rate_schedule import LearningRateSchedule

__all__ = ["LrTable", "ParameterwiseOptimizer", "ScaledRate", "bias_correction", "update_all"]


class LrTable(LearningRateSchedule):
    """One learning rate per update; the last one applies to all further updates.

    MindSpore's own table reads past its end (an error on CPU, undefined elsewhere), and keeps its values in a
    parameter, which a checkpoint would overwrite with those of another run. This table is a constant.

    Args:
        values: The learning rate of each update.
    """

    def __init__(self, values: Sequence[float]) -> None:
        super().__init__()
        self.values = Tensor(np.asarray(values, np.float32))
        self.last = Tensor(len(values) - 1, ms.int32)

    def construct(self, global_step):
        """Return the rate after ``global_step`` updates, in the shape of ``global_step``."""
        return ops.gather(self.values, ops.minimum(global_step, self.last), 0)


class ScaledRate(LearningRateSchedule):
    """A schedule multiplied by a factor.

    Args:
        schedule: Takes the number of updates and returns a rate.
        factor: Factor on the rate.
    """

    def __init__(self, schedule: nn.Cell, factor: float) -> None:
        super().__init__()
        self.schedule = schedule
        self.factor = Tensor(factor, ms.float32)

    def construct(self, global_step):
        """Return the rate after ``global_step`` updates."""
        return self.schedule(global_step) * self.factor


class ParameterwiseOptimizer(nn.Optimizer):
    """Base of optimizers that update each parameter by the same pure function.

    A subclass keeps its state in clones of ``self.parameters`` and maps its function over parameters, states
    and gradients in `construct`: ``self.hyper_map`` compiles 158 parameters three times faster than a loop.
    Gradients arrive multiplied by ``loss_scale``.

    Args:
        params: Parameters, or groups as `mindspore.nn.Optimizer` takes them.
        learning_rate: A number or a `LearningRateSchedule`.
        weight_decay: Weight decay of parameters whose group does not set its own.
        loss_scale: The factor in the gradients.

    Attributes:
        decays: The weight decay of each parameter as a number, for optimizers that decouple it.
    """

    def __init__(self, params, learning_rate, *, weight_decay: float = 0.0, loss_scale: float = 1.0) -> None:
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        decays = self.weight_decay if self.is_group else [self.weight_decay] * self.param_length
        # MindSpore has multiplied them by the loss scale, for `decay_weight`.
        self.decays = tuple(
            float(decay.asnumpy()) / loss_scale if flag else 0.0
            for decay, flag in zip(decays, self.decay_flags, strict=True)
        )

    def update_number(self):
        """Return the number of the update, from 1 on, as a float32 scalar; to be called before `advance`."""
        return (self.global_step + 1).astype(ms.float32).reshape(())

    def advance(self):
        """Count the update and return the learning rate of each parameter."""
        lr = self.get_lr()
        rates = lr if self.is_group_lr else (lr,) * self.param_length
        self.assignadd(self.global_step, self.global_step_increase_tensor)
        return rates

    def scaled(self, gradients):
        """Return the gradients in the parameters' type and without the loss scale."""
        gradients = self.hyper_map(_in_type_of, self.parameters, gradients)
        return self.scale_grad(self.gradients_centralization(gradients))

    def decayed(self, gradients):
        """Return the gradients as `scaled` does, plus weight decay times the parameter (L2, coupled)."""
        gradients = self.hyper_map(_in_type_of, self.parameters, gradients)
        return self.scale_grad(self.gradients_centralization(self.decay_weight(gradients)))


def _in_type_of(parameter, gradient):
    # The square of a float16 gradient below 2e-4 would be 0.
    return ops.cast(gradient, parameter.dtype)


_map = ops.HyperMap()


def update_all(fused, values, lr, parameters, gradients):
    """Update all parameters by one operator.

    Args:
        fused: The cell that does it, see `mindcv.kernels.FusedUpdate`.
        values: What the optimizer computes for this update, shape [k].
        lr: Learning rate, or a tuple with one for each parameter.
        parameters: The parameters.
        gradients: Their gradients.
    """
    rates = ops.stack(lr) if isinstance(lr, tuple) else lr.reshape((1,))
    return fused(values, rates, _map(_in_type_of, parameters, gradients))


def bias_correction(log_beta: float, t):
    """Return ``1 - beta ** t`` without cancellation: in float32 ``1 - 0.999 ** 1`` has an error of 5e-5."""
    return -ops.expm1(t * log_beta)
