"""Averaging of gradients over the devices in few messages."""

from collections.abc import Sequence

from mindspore import Parameter, Tensor, nn, ops

__all__ = ["BucketReducer"]

BUCKET_BYTES = 2**22


class BucketReducer(nn.Cell):
    """Averages gradients over the ranks; several are joined to one message, a bucket.

    A message costs time of its own, however short it is, and a network has gradients of a few bytes. The
    values are those of MindSpore's `nn.DistributedGradReducer`, to the bit on two ranks and up to rounding on
    more. It sends a message per gradient where the device does not join them itself, as on CPU.

    Args:
        parameters: Parameters that the gradients belong to.
        world_size: Number of ranks.
        bucket_bytes: A bucket is closed before it exceeds this size; larger gradients are alone in theirs.
    """

    def __init__(
        self, parameters: Sequence[Parameter], world_size: int, bucket_bytes: int = BUCKET_BYTES
    ) -> None:
        super().__init__(auto_prefix=False)
        self.share = 1 / world_size
        self.buckets = _buckets(parameters, bucket_bytes)
        self.sizes = tuple(parameter.size for parameter in parameters)
        self.all_reduce = ops.AllReduce()
        self.map = ops.HyperMap()

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the averages, in the order of the parameters."""
        flat = self.map(_flat, gradients)
        averages = ()
        for begin, end in self.buckets:
            average = self.all_reduce(ops.concat(flat[begin:end])) * self.share
            averages += ops.split(average, self.sizes[begin:end])
        return self.map(_in_shape_of, gradients, averages)


_flat = ops.MultitypeFuncGraph("flat")
_in_shape_of = ops.MultitypeFuncGraph("in_shape_of")


@_flat.register("Tensor")
def _flat_gradient(gradient: Tensor) -> Tensor:
    return gradient.reshape(-1)


@_in_shape_of.register("Tensor", "Tensor")
def _average_in_shape_of(gradient: Tensor, average: Tensor) -> Tensor:
    return average.reshape(gradient.shape)


def _buckets(parameters: Sequence[Parameter], bucket_bytes: int) -> tuple[tuple[int, int], ...]:
    """Return the first gradient of each bucket and the one after its last; all in it are of one type."""
    buckets, begin, held = [], 0, 0
    for i, parameter in enumerate(parameters):
        size = parameter.size * parameter.itemsize
        other = i > begin and parameter.dtype != parameters[begin].dtype
        if i > begin and (other or held + size > bucket_bytes):
            buckets.append((begin, i))
            begin, held = i, 0
        held += size
    return (*buckets, (begin, len(parameters))) if parameters else ()
