"""Sums over the ranks of a job."""

from mindspore import Tensor, communication, nn, ops

__all__ = ["AllReduceSum", "world_size"]


class AllReduceSum(nn.Cell):
    """Adds up a tensor over all ranks. In a job of one process the sum is the tensor itself."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = ops.AllReduce(ops.ReduceOp.SUM) if world_size() > 1 else None

    def construct(self, x: Tensor) -> Tensor:
        """Return the sum, the same on each rank.

        Args:
            x: A tensor of any shape, float32 or float16 on a CPU.
        """
        return x if self.reduce is None else self.reduce(x)


def world_size() -> int:
    """Return the number of ranks, 1 where MindSpore's communication has not been initialized."""
    try:
        return communication.get_group_size()
    except RuntimeError:
        return 1
