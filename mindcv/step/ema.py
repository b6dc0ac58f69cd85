"""Exponential moving average of a network in training."""

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindcv.files.checkpoint_file import AVERAGE

__all__ = ["Ema", "follow"]


class Ema(nn.Cell):
    """Lets each parameter of one network follow that of another, statistics of batch normalisation included.

    After update n, counted from 1, ``average -= (1 - d) * (average - value)`` with ``d = min(decay, (1 + n) /
    (10 + n))``: TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``, whose first steps forget the
    initial weights quickly.

    Args:
        network: The network in training.
        average: A network of the same architecture, prepared by `follow`; it can be evaluated at any time.
        decay: Weight of the old average, below 1.
    """

    def __init__(self, network: nn.Cell, average: nn.Cell, decay: float) -> None:
        super().__init__(auto_prefix=False)
        # Not the networks themselves: neither runs here, and the step has the first one already.
        self.values = ParameterTuple(network.get_parameters())
        self.averages = ParameterTuple(average.get_parameters())
        self.updates = Parameter(Tensor(0, ms.int32), name="ema_updates", requires_grad=False)
        self.decay = decay
        self.map = ops.HyperMap()

    def construct(self, after: Tensor) -> tuple[Tensor, ...]:
        """Follow once.

        Args:
            after: Any result of the update that is followed: it makes sure of the order.
        """
        n = ops.cast(ops.assign_add(self.updates, 1), ms.float32)
        decay = ops.minimum((1 + n) / (10 + n), Tensor(self.decay, ms.float32))
        return self.map(ops.partial(_follow, ops.depend(1 - decay, after)), self.averages, self.values)


_follow = ops.MultitypeFuncGraph("follow")


@_follow.register("Tensor", "Tensor", "Tensor")
def _follow_value(part: Tensor, average: Parameter, value: Parameter) -> Tensor:
    return ops.assign_sub(average, part * (average - value))


def follow(average: nn.Cell, network: nn.Cell) -> None:
    """Prepare a network to be the average of another: it gets its values, and names of its own.

    Args:
        average: A network of the same architecture that has not run yet. Its parameters' names get a prefix.
        network: The network in training.
    """
    for target, source in zip(average.get_parameters(), network.get_parameters(), strict=True):
        target.set_data(Tensor(source.asnumpy()))
        target.name = AVERAGE + source.name
        target.requires_grad = False
