"""SGD with momentum: MindSpore's own, with one operator for all parameters where there is a kernel."""

import mindspore as ms
from mindspore import nn

from mindcv.kernels import FusedUpdate
from mindcv.optim.base import update_all

__all__ = ["SGD", "Momentum"]


class SGD(nn.SGD):
    """`mindspore.nn.SGD`; the same updates, states and names."""

    fused = FusedUpdate(
        "UpdateSgd", lambda own: (own.accum, own.stat), lambda own: (own.dampening, float(own.nesterov))
    )

    @ms.jit
    def construct(self, gradients):
        """Update the parameters with their gradients, a tuple in the same order."""
        fused = self.fused
        if fused is None:
            return super().construct(gradients)
        lr = self.get_lr()
        self.assignadd(self.global_step, self.global_step_increase_tensor)
        return update_all(fused, self.momentum.reshape((1,)), lr, self._parameters, gradients)


class Momentum(nn.Momentum):
    """`mindspore.nn.Momentum`; the same updates, states and names."""

    fused = FusedUpdate("UpdateMomentum", lambda own: (own.moments,), lambda own: ())

    @ms.jit
    def construct(self, gradients):
        """Update the parameters with their gradients, a tuple in the same order."""
        fused = self.fused
        if fused is None:
            return super().construct(gradients)
        lr = self.get_lr()
        self.assignadd(self.global_step, self.global_step_increase_tensor)
        return update_all(fused, self.momentum.reshape((1,)), lr, self._parameters, gradients)
