"""Adagrad."""

import mindspore as ms
from mindspore import ops

from mindcv.optim.base import ParameterwiseOptimizer

__all__ = ["Adagrad"]


class Adagrad(ParameterwiseOptimizer):
    r"""Adagrad (Duchi et al. 2011) with coupled weight decay.

    :math:`g' = g + \lambda w`, :math:`a = a + g'^2`, :math:`w = w - lr \frac{g'}{\sqrt{a} + \epsilon}`. It
    equals `mindspore.nn.Adagrad`, which has no epsilon, and for ``accum`` 0 `torch.optim.Adagrad`.

    Args:
        params: Parameters, or groups as `mindspore.nn.Optimizer` takes them.
        learning_rate: A number or a `LearningRateSchedule`.
        accum: Initial value of a.
        eps: Epsilon.
        weight_decay: The lambda above, for parameters whose group does not set its own.
        loss_scale: The factor in the gradients.
    """

    def __init__(
        self,
        params,
        learning_rate,
        *,
        accum: float = 0.1,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        loss_scale: float = 1.0,
    ) -> None:
        super().__init__(params, learning_rate, weight_decay=weight_decay, loss_scale=loss_scale)
        self.accum = self.parameters.clone(prefix="accum", init=accum)
        self.eps = eps

    @ms.jit
    def construct(self, gradients):
        """Update the parameters with their gradients, a tuple in the same order."""
        rates = self.advance()
        update = ops.partial(_update, self.eps)
        return self.hyper_map(update, rates, self.parameters, self.accum, self.decayed(gradients))


def _update(eps, rate, weight, accum, gradient):
    total = accum + gradient * gradient
    ops.assign(accum, total)
    ops.assign(weight, weight - rate * gradient / (ops.sqrt(total) + eps))
    return True
