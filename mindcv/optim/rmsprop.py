"""RMSProp as in TensorFlow."""

import mindspore as ms
from mindspore import Tensor, ops

from mindcv.kernels import FusedUpdate
from mindcv.optim.base import ParameterwiseOptimizer, update_all

__all__ = ["RMSProp"]


class RMSProp(ParameterwiseOptimizer):
    r"""RMSProp (Tieleman & Hinton 2012) with momentum and coupled weight decay, as TensorFlow 1's.

    :math:`g' = g + \lambda w`, :math:`s = \rho s + (1 - \rho) g'^2` from s = 1,
    :math:`v = \mu v + lr \frac{g'}{\sqrt{s + \epsilon}}`, :math:`w = w - v`.

    If ``centered``, :math:`\bar g = \rho \bar g + (1 - \rho) g'` from 0, and :math:`s - \bar g^2` takes the
    place of s under the root.

    `torch.optim.RMSprop` starts s from 0, adds epsilon to the root and multiplies the momentum by the
    learning rate. `mindspore.nn.RMSProp` documents TensorFlow's formula, but its CPU kernel adds epsilon to
    the root for most elements. The state has the names of `mindspore.nn.RMSProp`'s, whose checkpoints load.

    Args:
        params: Parameters, or groups as `mindspore.nn.Optimizer` takes them.
        learning_rate: A number or a `LearningRateSchedule`.
        decay: The rho above.
        momentum: The mu above.
        eps: Epsilon.
        centered: Divide by the standard deviation of the gradient instead of by its root mean square.
        weight_decay: The lambda above, for parameters whose group does not set its own.
        loss_scale: The factor in the gradients.
    """

    fused = FusedUpdate(
        "UpdateRmsProp",
        lambda own: (own.mean_square, own.moment),
        lambda own: (own.decay, 1 - own.decay, own.momentum, own.eps),
    )

    def __init__(
        self,
        params,
        learning_rate,
        *,
        decay: float = 0.9,
        momentum: float = 0.0,
        eps: float = 1e-10,
        centered: bool = False,
        weight_decay: float = 0.0,
        loss_scale: float = 1.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay=weight_decay, loss_scale=loss_scale)
        self.mean_square = self.parameters.clone(prefix="mean_square", init="ones")
        self.moment = self.parameters.clone(prefix="moment", init="zeros")
        if centered:
            self.mean_grad = self.parameters.clone(prefix="mean_grad", init="zeros")
        self.no_values = Tensor([0.0], ms.float32)
        self.centered = bool(centered)
        self.decay = decay
        self.momentum = momentum
        self.eps = eps

    @ms.jit
    def construct(self, gradients):
        """Update the parameters with their gradients, a tuple in the same order."""
        fused = self.fused
        if fused is not None and not self.centered:
            lr = self.get_lr()
            self.assignadd(self.global_step, self.global_step_increase_tensor)
            return update_all(fused, self.no_values, lr, self.parameters, gradients)
        rates = self.advance()
        gradients = self.decayed(gradients)
        constants = (self.decay, self.momentum, self.eps)
        if self.centered:
            update = ops.partial(_update_centered, *constants)
            return self.hyper_map(
                update, rates, self.parameters, self.mean_square, self.moment, self.mean_grad, gradients
            )
        update = ops.partial(_update, *constants)
        return self.hyper_map(update, rates, self.parameters, self.mean_square, self.moment, gradients)


def _update(decay, momentum, eps, rate, weight, mean_square, moment, gradient):
    square = decay * mean_square + (1 - decay) * gradient * gradient
    step = momentum * moment + rate * gradient / ops.sqrt(square + eps)
    ops.assign(mean_square, square)
    ops.assign(moment, step)
    ops.assign(weight, weight - step)
    return True


def _update_centered(decay, momentum, eps, rate, weight, mean_square, moment, mean_grad, gradient):
    square = decay * mean_square + (1 - decay) * gradient * gradient
    mean = decay * mean_grad + (1 - decay) * gradient
    # It is never negative, but its rounding error can be, and larger than epsilon.
    variance = ops.relu(square - mean * mean)
    step = momentum * moment + rate * gradient / ops.sqrt(variance + eps)
    ops.assign(mean_square, square)
    ops.assign(mean_grad, mean)
    ops.assign(moment, step)
    ops.assign(weight, weight - step)
    return True
