"""Adam."""

from math import log

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from mindcv.kernels import FusedUpdate
from mindcv.optim.base import ParameterwiseOptimizer, bias_correction, update_all

__all__ = ["Adam"]


class Adam(ParameterwiseOptimizer):
    r"""Adam (Kingma & Ba 2015, arXiv 1412.6980) with coupled weight decay, as `torch.optim.Adam`.

    :math:`g' = g + \lambda w`, :math:`m = \beta_1 m + (1 - \beta_1) g'`,
    :math:`v = \beta_2 v + (1 - \beta_2) g'^2`,
    :math:`w = w - lr \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}`.

    `mindspore.nn.Adam` adds epsilon before the correction of v, which for a large epsilon makes its first
    steps far smaller.

    Args:
        params: Parameters, or groups as `mindspore.nn.Optimizer` takes them.
        learning_rate: A number or a `LearningRateSchedule`.
        beta1: Decay of the mean of the gradients.
        beta2: Decay of the mean of their squares.
        eps: Epsilon.
        weight_decay: The lambda above, for parameters whose group does not set its own.
        loss_scale: The factor in the gradients.
        nesterov: Use :math:`\beta_1 m + (1 - \beta_1) g'` in the place of m in the last line.
    """

    decoupled = False
    fused = FusedUpdate(
        "UpdateAdam",
        lambda own: (own.moment1, own.moment2),
        lambda own: (_number(own.beta1), _number(own.beta2), float(own.nesterov), float(own.decoupled)),
        decoupled=lambda own: own.decoupled,
    )

    def __init__(
        self,
        params,
        learning_rate=1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        loss_scale: float = 1.0,
        *,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay=weight_decay, loss_scale=loss_scale)
        if not self.decoupled:
            self.decays = (0.0,) * self.param_length  # it is in the gradient
        self.moment1 = self.parameters.clone(prefix="moment1", init="zeros")
        self.moment2 = self.parameters.clone(prefix="moment2", init="zeros")
        # Of the float32 betas that the operator works with: 1 - 0.999 differs by 1e-5 of its value.
        self.log_beta1 = log(np.float32(beta1))
        self.log_beta2 = log(np.float32(beta2))
        self.beta1 = Tensor(beta1, ms.float32)
        self.beta2 = Tensor(beta2, ms.float32)
        self.eps = eps
        self.nesterov = nesterov
        self.adam = ops.Adam(use_nesterov=nesterov)

    @ms.jit
    def construct(self, gradients):
        """Update the parameters with their gradients, a tuple in the same order."""
        t = self.update_number()
        correction1 = bias_correction(self.log_beta1, t)
        correction2 = ops.sqrt(bias_correction(self.log_beta2, t))
        fused = self.fused
        if fused is not None:
            lr = self.get_lr()
            self.assignadd(self.global_step, self.global_step_increase_tensor)
            values = ops.stack((correction2 / correction1, self.eps * correction2))
            return update_all(fused, values, lr, self.parameters, gradients)
        rates = self.advance()
        update = ops.partial(
            _update, self.adam, self.beta1, self.beta2, self.eps * correction2, correction2 / correction1
        )
        gradients = self.scaled(gradients) if self.decoupled else self.decayed(gradients)
        return self.hyper_map(
            update, rates, self.decays, self.parameters, self.moment1, self.moment2, gradients
        )


def _number(value: Tensor) -> float:
    return float(value.asnumpy())


def _update(adam, beta1, beta2, eps, correction, rate, decay, weight, moment1, moment2, gradient):
    if decay > 0:
        ops.assign(weight, weight * (1 - rate * decay))
    # The operator's own corrections are off (beta ** t is 0 for it): they are in its rate and epsilon.
    off = Tensor(0.0, ms.float32)
    adam(weight, moment1, moment2, off, off, rate * correction, beta1, beta2, eps, gradient)
    return True
