"""Adan: Nesterov's momentum from the differences of gradients."""

from math import log

import mindspore as ms
from mindspore import ops

from mindcv.optim.base import ParameterwiseOptimizer, bias_correction

__all__ = ["Adan"]


class Adan(ParameterwiseOptimizer):
    r"""Adan (Xie et al. 2022, arXiv 2208.06677), with the betas and the weight decay of the authors' code.

    With the difference of two gradients :math:`d_t = g_t - g_{t-1}` (:math:`d_1 = 0`):
    :math:`m = \beta_1 m + (1 - \beta_1) g`, :math:`v = \beta_2 v + (1 - \beta_2) d`,
    :math:`n = \beta_3 n + (1 - \beta_3) (g + \beta_2 d)^2`,
    :math:`u = \frac{m / (1 - \beta_1^t) + \beta_2 v / (1 - \beta_2^t)}
    {\sqrt{n / (1 - \beta_3^t)} + \epsilon}`, :math:`w = (w - lr\, u) / (1 + lr \lambda)`.

    MindCV's Adan takes the same numbers for the weight of the new gradient, which is 1 minus the beta here.

    Args:
        params: Parameters, or groups as `mindspore.nn.Optimizer` takes them.
        learning_rate: A number or a `LearningRateSchedule`.
        beta1: Decay of the mean of the gradients.
        beta2: Decay of the mean of their differences.
        beta3: Decay of the mean of the squares.
        eps: Epsilon.
        use_locking: Not needed: an update has one thread.
        weight_decay: The lambda above, for parameters whose group does not set its own.
        loss_scale: The factor in the gradients.
    """

    def __init__(
        self,
        params,
        learning_rate=1e-3,
        beta1: float = 0.98,
        beta2: float = 0.92,
        beta3: float = 0.99,
        eps: float = 1e-8,
        use_locking: bool = False,
        weight_decay: float = 0.0,
        loss_scale: float = 1.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay=weight_decay, loss_scale=loss_scale)
        self.moment1 = self.parameters.clone(prefix="moment1", init="zeros")
        self.moment2 = self.parameters.clone(prefix="moment2", init="zeros")
        self.moment3 = self.parameters.clone(prefix="moment3", init="zeros")
        self.prev_gradient = self.parameters.clone(prefix="prev_gradient", init="zeros")
        self.betas = (beta1, beta2, beta3)
        self.log_betas = (log(beta1), log(beta2), log(beta3))
        self.eps = eps

    @ms.jit
    def construct(self, gradients):
        """Update the parameters with their gradients, a tuple in the same order."""
        t = self.update_number()
        rates = self.advance()
        correction1 = bias_correction(self.log_betas[0], t)
        correction2 = bias_correction(self.log_betas[1], t)
        correction3 = ops.sqrt(bias_correction(self.log_betas[2], t))
        is_later = (t > 1).astype(ms.float32)
        update = ops.partial(_update, self.betas, self.eps, is_later, correction1, correction2, correction3)
        return self.hyper_map(
            update,
            rates,
            self.decays,
            self.parameters,
            self.moment1,
            self.moment2,
            self.moment3,
            self.prev_gradient,
            self.scaled(gradients),
        )


def _update(
    betas,
    eps,
    is_later,
    correction1,
    correction2,
    correction3,
    rate,
    decay,
    weight,
    moment1,
    moment2,
    moment3,
    last,
    gradient,
):
    beta1, beta2, beta3 = betas
    difference = is_later * (gradient - last)
    mean = beta1 * moment1 + (1 - beta1) * gradient
    change = beta2 * moment2 + (1 - beta2) * difference
    ahead = gradient + beta2 * difference
    square = beta3 * moment3 + (1 - beta3) * ahead * ahead
    ops.assign(moment1, mean)
    ops.assign(moment2, change)
    ops.assign(moment3, square)
    ops.assign(last, gradient)
    step = rate * (mean / correction1 + beta2 * change / correction2) / (ops.sqrt(square) / correction3 + eps)
    if decay > 0:
        # (weight - step) / (1 + rate * decay) as one small difference: 1 + 1e-7 has no digits in float32.
        shrinking = rate * decay
        step = (step + shrinking * weight) / (1 + shrinking)
    ops.assign(weight, weight - step)
    return True
