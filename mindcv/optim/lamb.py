"""LAMB: Adam with a step in proportion to each parameter's norm, for large batches."""

from math import log

import mindspore as ms
from mindspore import ops

from mindcv.optim.base import ParameterwiseOptimizer, bias_correction

__all__ = ["Lamb"]


class Lamb(ParameterwiseOptimizer):
    r"""LAMB (You et al. 2020, arXiv 1904.00962) with decoupled weight decay.

    m and v as in Adam,
    :math:`r = \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon} + \lambda w`,
    :math:`w = w - lr \frac{\|w\|}{\|r\|} r`, with the factor 1 where a norm is 0. `mindspore.nn.Lamb` does
    not run on CPU and takes no loss scale.

    Args:
        params: Parameters, or groups as `mindspore.nn.Optimizer` takes them.
        learning_rate: A number or a `LearningRateSchedule`.
        beta1: Decay of the mean of the gradients.
        beta2: Decay of the mean of their squares.
        eps: Epsilon.
        weight_decay: The lambda above, for parameters whose group does not set its own.
        loss_scale: The factor in the gradients.
    """

    def __init__(
        self,
        params,
        learning_rate,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        loss_scale: float = 1.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay=weight_decay, loss_scale=loss_scale)
        self.moment1 = self.parameters.clone(prefix="moment1", init="zeros")
        self.moment2 = self.parameters.clone(prefix="moment2", init="zeros")
        self.beta1 = beta1
        self.beta2 = beta2
        self.log_beta1 = log(beta1)
        self.log_beta2 = log(beta2)
        self.eps = eps

    @ms.jit
    def construct(self, gradients):
        """Update the parameters with their gradients, a tuple in the same order."""
        t = self.update_number()
        rates = self.advance()
        correction1 = bias_correction(self.log_beta1, t)
        correction2 = ops.sqrt(bias_correction(self.log_beta2, t))
        update = ops.partial(_update, self.beta1, self.beta2, self.eps, correction1, correction2)
        gradients = self.scaled(gradients)
        return self.hyper_map(
            update, rates, self.decays, self.parameters, self.moment1, self.moment2, gradients
        )


def _update(beta1, beta2, eps, correction1, correction2, rate, decay, weight, moment1, moment2, gradient):
    mean = beta1 * moment1 + (1 - beta1) * gradient
    square = beta2 * moment2 + (1 - beta2) * gradient * gradient
    ops.assign(moment1, mean)
    ops.assign(moment2, square)
    step = mean / correction1 / (ops.sqrt(square) / correction2 + eps)
    if decay > 0:
        step = step + decay * weight
    weight_norm = ops.sqrt((weight * weight).sum())
    step_norm = ops.sqrt((step * step).sum())
    usable = ops.logical_and(weight_norm > 0, step_norm > 0)
    trust = ops.where(usable, weight_norm / step_norm, ops.ones_like(weight_norm))
    ops.assign(weight, weight - rate * trust * step)
    return True
