"""Collectives between the processes of a training job, outside of the training step."""

from collections.abc import Iterable

import numpy as np
from mindspore import Parameter, Tensor, communication, ops

__all__ = ["average_parameters", "broadcast_parameters", "gather_bytes", "sum_over_ranks"]


def sum_over_ranks(values: np.ndarray) -> np.ndarray:
    """Add up an array over all processes, exactly for integers.

    MindSpore's CPU collectives round float64 to float32 silently; as pairs of int32 it arrives intact.

    Args:
        values: float64 of shape [n], different on each process.

    Returns:
        The sum, the same on each process.
    """
    halves = np.ascontiguousarray(values, np.float64)[None].view(np.int32)
    return ops.AllGather()(Tensor(halves)).asnumpy().view(np.float64).sum(axis=0)


def gather_bytes(content: bytes) -> list[bytes]:
    """Return the bytes that each process gives, in the order of the ranks; all may have their own length."""
    lengths = ops.AllGather()(Tensor(np.array([[len(content)]], np.int32))).asnumpy().ravel()
    padded = np.zeros((1, -(-int(lengths.max()) // 4)), np.int32)  # int32 arrives intact everywhere
    if not padded.size:
        return [b""] * len(lengths)
    padded.view(np.uint8)[0, : len(content)] = np.frombuffer(content, np.uint8)
    rows = ops.AllGather()(Tensor(padded)).asnumpy()
    return [row.tobytes()[:length] for row, length in zip(rows, lengths, strict=True)]


def broadcast_parameters(parameters: Iterable[Parameter]) -> None:
    """Give all processes rank 0's values, in place."""
    broadcast = ops.Broadcast(0)
    for parameter in parameters:
        ops.assign(parameter, broadcast((parameter,))[0])


def average_parameters(parameters: Iterable[Parameter]) -> None:
    """Give all processes the mean of their float32 values, in place."""
    reduce, world_size = ops.AllReduce(), communication.get_group_size()
    for parameter in parameters:
        ops.assign(parameter, reduce(parameter) / world_size)
