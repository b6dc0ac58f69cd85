"""NAdam: Adam with Nesterov's momentum on a schedule."""

from math import log

import mindspore as ms
from mindspore import Parameter, Tensor, ops

from mindcv.optim.base import ParameterwiseOptimizer, bias_correction

__all__ = ["NAdam"]


class NAdam(ParameterwiseOptimizer):
    r"""NAdam (Dozat 2016) with coupled weight decay, as `torch.optim.NAdam`.

    :math:`g' = g + \lambda w`, m and v as in Adam, :math:`\mu_t = \beta_1 (1 - 0.96^{t \psi} / 2)`,
    :math:`M_t = \prod_{i \le t} \mu_i`,
    :math:`\hat m = \frac{\mu_{t+1} m}{1 - M_{t+1}} + \frac{(1 - \mu_t) g'}{1 - M_t}`,
    :math:`w = w - lr \frac{\hat m}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}`.

    Args:
        params: Parameters, or groups as `mindspore.nn.Optimizer` takes them.
        learning_rate: A number or a `LearningRateSchedule`.
        beta1: Decay of the mean of the gradients, and limit of mu.
        beta2: Decay of the mean of their squares.
        eps: Epsilon.
        weight_decay: The lambda above, for parameters whose group does not set its own.
        loss_scale: The factor in the gradients.
        schedule_decay: The psi above.
    """

    def __init__(
        self,
        params,
        learning_rate=2e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        loss_scale: float = 1.0,
        schedule_decay: float = 4e-3,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay=weight_decay, loss_scale=loss_scale)
        self.moment1 = self.parameters.clone(prefix="moment1", init="zeros")
        self.moment2 = self.parameters.clone(prefix="moment2", init="zeros")
        self.mu_product = Parameter(Tensor(1.0, ms.float32), name="mu_product", requires_grad=False)
        self.beta1 = beta1
        self.beta2 = beta2
        self.log_beta2 = log(beta2)
        self.eps = eps
        self.log_mu_decay = schedule_decay * log(0.96)

    @ms.jit
    def construct(self, gradients):
        """Update the parameters with their gradients, a tuple in the same order."""
        t = self.update_number()
        rates = self.advance()
        correction2 = ops.sqrt(bias_correction(self.log_beta2, t))
        mu = self.beta1 * (1 - 0.5 * ops.exp(t * self.log_mu_decay))
        mu_next = self.beta1 * (1 - 0.5 * ops.exp((t + 1) * self.log_mu_decay))
        product = self.mu_product * mu
        ops.assign(self.mu_product, product)
        on_gradient = (1 - mu) / (1 - product)
        on_moment = mu_next / (1 - product * mu_next)
        update = ops.partial(_update, self.beta1, self.beta2, self.eps, correction2, on_gradient, on_moment)
        gradients = self.decayed(gradients)
        return self.hyper_map(update, rates, self.parameters, self.moment1, self.moment2, gradients)


def _update(beta1, beta2, eps, correction2, on_gradient, on_moment, rate, weight, moment1, moment2, gradient):
    mean = beta1 * moment1 + (1 - beta1) * gradient
    square = beta2 * moment2 + (1 - beta2) * gradient * gradient
    ops.assign(moment1, mean)
    ops.assign(moment2, square)
    step = (on_gradient * gradient + on_moment * mean) / (ops.sqrt(square) / correction2 + eps)
    ops.assign(weight, weight - rate * step)
    return True
