"""Lion: updates by the sign of the momentum."""

import mindspore as ms
from mindspore import ops

from mindcv.optim.base import ParameterwiseOptimizer

__all__ = ["Lion"]


class Lion(ParameterwiseOptimizer):
    r"""Lion (Chen et al. 2023, arXiv 2302.06675) with decoupled weight decay.

    :math:`u = \mathrm{sign}(\beta_1 m + (1 - \beta_1) g)`, :math:`w = w - lr (u + \lambda w)`,
    :math:`m = \beta_2 m + (1 - \beta_2) g`. It has no epsilon. Its authors use a learning rate 3 to 10 times
    smaller than AdamW's, with a weight decay as much larger.

    Args:
        params: Parameters, or groups as `mindspore.nn.Optimizer` takes them.
        learning_rate: A number or a `LearningRateSchedule`.
        beta1: Weight of the momentum in the update.
        beta2: Decay of the momentum.
        weight_decay: The lambda above, for parameters whose group does not set its own.
        loss_scale: The factor in the gradients.
    """

    def __init__(
        self,
        params,
        learning_rate=2e-4,
        beta1: float = 0.9,
        beta2: float = 0.99,
        weight_decay: float = 0.0,
        loss_scale: float = 1.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay=weight_decay, loss_scale=loss_scale)
        self.moment = self.parameters.clone(prefix="moment", init="zeros")
        self.beta1 = beta1
        self.beta2 = beta2

    @ms.jit
    def construct(self, gradients):
        """Update the parameters with their gradients, a tuple in the same order."""
        rates = self.advance()
        update = ops.partial(_update, self.beta1, self.beta2)
        gradients = self.scaled(gradients)
        return self.hyper_map(update, rates, self.decays, self.parameters, self.moment, gradients)


def _update(beta1, beta2, rate, decay, weight, moment, gradient):
    step = ops.sign(beta1 * moment + (1 - beta1) * gradient)
    if decay > 0:
        step = step + decay * weight
    ops.assign(moment, beta2 * moment + (1 - beta2) * gradient)
    ops.assign(weight, weight - rate * step)
    return True
