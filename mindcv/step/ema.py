"""Exponential moving average (EMA) of a network in training."""

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindcv.files.checkpoint_file import EMA_PREFIX
from mindcv.kernels import FusedAverage

__all__ = ["Ema", "initialize_ema_model"]


class Ema(nn.Cell):
    """Updates the parameters of an EMA model, statistics of batch normalisation included.

    After update n, counted from 1, ``ema -= (1 - d) * (ema - value)`` with ``d = min(decay, (1 + n) /
    (10 + n))``: TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``, whose first steps forget the
    initial weights quickly.

    Args:
        network: The network in training.
        ema_model: A network of the same architecture, prepared by `initialize_ema_model`; it can be evaluated
            at any time.
        decay: Weight of the old value, below 1.
    """

    fused = FusedAverage()

    def __init__(self, network: nn.Cell, ema_model: nn.Cell, decay: float) -> None:
        super().__init__(auto_prefix=False)
        # Not the networks themselves: neither runs here, and the step has the first one already.
        self.values = ParameterTuple(network.get_parameters())
        self.ema_values = ParameterTuple(ema_model.get_parameters())
        self.updates = Parameter(Tensor(0, ms.int32), name="ema_updates", requires_grad=False)
        self.decay = decay
        self.map = ops.HyperMap()

    def construct(self, after: Tensor) -> tuple[Tensor, ...]:
        """Update the EMA model once.

        Args:
            after: Any result of the preceding update, which ensures the order.
        """
        n = ops.cast(ops.assign_add(self.updates, 1), ms.float32)
        decay = ops.minimum((1 + n) / (10 + n), Tensor(self.decay, ms.float32))
        fraction = ops.depend(1 - decay, after)
        fused = self.fused
        if fused is not None:
            return fused(fraction)
        return self.map(ops.partial(_update, fraction), self.ema_values, self.values)


_update = ops.MultitypeFuncGraph("update")


@_update.register("Tensor", "Tensor", "Tensor")
def _update_value(fraction: Tensor, ema: Parameter, value: Parameter) -> Tensor:
    return ops.assign_sub(ema, fraction * (ema - value))


def initialize_ema_model(ema_model: nn.Cell, network: nn.Cell) -> None:
    """Make a network the EMA model of another: copy the values, and prefix the names of its parameters.

    Args:
        ema_model: A network of the same architecture that has not run yet; its names get a prefix.
        network: The network in training.
    """
    for target, source in zip(ema_model.get_parameters(), network.get_parameters(), strict=True):
        target.set_data(Tensor(source.asnumpy()))
        target.name = EMA_PREFIX + source.name
        target.requires_grad = False
