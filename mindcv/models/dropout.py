"""Dropout whose masks depend on a key and a counter only, so that a resumed run repeats them.

MindSpore's own draws from a generator whose state cannot be saved on a CPU. Here a mask is a hash of the key,
the number of the forward pass, the layer and the element: the same in graph and in PyNative mode.
"""

from itertools import count

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.structure import Composition

__all__ = ["DropPath", "Dropout", "RandomState", "keep_random_state", "seed_dropout"]

WORD = 2**32

_numbers = count()


class RandomState:
    """The state that the masks of one network depend on.

    Args:
        seed: Seed of the key; by default that of `mindspore.set_seed`, if it was called.

    Attributes:
        key: The key, a parameter.
        passes: Forward passes in training so far, a parameter.
    """

    def __init__(self, seed: int | None = None) -> None:
        number = next(_numbers)  # two networks may meet in one graph, where names must differ
        key = _key(ms.get_seed() if seed is None else seed)
        self.key = Parameter(Tensor(key, ms.int64), name=f"dropout.key.{number}", requires_grad=False)
        self.passes = Parameter(Tensor(0, ms.int32), name=f"dropout.passes.{number}", requires_grad=False)


def keep_random_state(network: nn.Cell, state: RandomState, *, is_random: bool) -> None:
    """Let a network own the state of its dropout cells; it counts the forward passes where it is random.

    Args:
        network: The network.
        state: The state of its dropout cells.
        is_random: Whether a forward pass in training draws any mask.
    """
    network.random_state = state
    network.is_random = is_random
    # Past nn.Cell, which would list it among the network's parameters.
    object.__setattr__(network, "passes", state.passes)


def seed_dropout(network: nn.Cell, seed: int, rank: int = 0) -> None:
    """Set the seed of a network's dropout, before it first runs.

    Args:
        network: A network; one without dropout is left as it is.
        seed: Seed of the run.
        rank: Rank of this process: each rank has masks of its own.
    """
    state = getattr(network, "random_state", None)
    if state is not None:
        state.key.set_data(Tensor(_key((seed, rank)), ms.int64))


def _key(seed: int | tuple[int, ...] | None) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


class Dropout(nn.Cell):
    """In training, sets elements to 0 with probability `rate` and divides the others by ``1 - rate``.

    Srivastava et al. 2014. Evaluation changes nothing. The network counts the forward passes.

    Args:
        rate: Probability of dropping an element, in [0, 1).
        state: State that the masks depend on; its parameters are not among the network's, whose names are
            MindCV's.
        layer: Number of the layer: each layer has masks of its own.

    Inputs:
        Tensor of any shape.

    Outputs:
        Tensor of the same shape.
    """

    def __init__(self, rate: float, state: RandomState, layer: int) -> None:
        super().__init__()
        self.rate = rate
        self.layer = layer
        # Past nn.Cell, which would list them among the network's parameters.
        object.__setattr__(self, "key", state.key)
        object.__setattr__(self, "passes", state.passes)

    def construct(self, x: Tensor) -> Tensor:
        """Drop elements of ``x``."""
        if self.rate == 0 or not self.training:
            return x
        return x * self.mask(x.shape, x.dtype)

    def composition(self) -> Composition:
        """Return no steps: evaluation changes nothing."""
        return Composition()

    def mask(self, shape: tuple[int, ...], dtype: ms.Type) -> Tensor:
        """Return a mask of zeros and ``1 / (1 - rate)``."""
        size = 1
        for length in shape:
            size = size * length
        first = _mix(self.key + 0x3C6EF372 * self.layer)
        second = _mix(first + self.passes)
        elements = ops.arange(0, size, 1, dtype=ms.int64)
        words = _mix(_mix(elements + second) + first)
        kept = words >= int(self.rate * WORD)
        return ops.cast(kept, dtype).reshape(shape) / (1 - self.rate)


class DropPath(Dropout):
    """Stochastic depth: in training, the branch of a sample is set to 0 with probability ``rate``.

    The other samples are divided by ``1 - rate``, which keeps the expected value. Evaluation changes nothing.
    Huang et al. 2016 (arXiv 1603.09382).

    Inputs:
        Tensor of shape (N, C, H, W).

    Outputs:
        Tensor of the same shape.
    """

    def construct(self, x: Tensor) -> Tensor:
        """Drop or scale each sample of ``x``."""
        if self.rate == 0 or not self.training:
            return x
        return x * self.mask((x.shape[0], 1, 1, 1), x.dtype)


def _mix(word: Tensor) -> Tensor:
    """Hash words of 32 bits, stored as int64: Wellons' lowbias32, a bijection without visible structure."""
    word = word % WORD
    word = ops.bitwise_xor(word, word // 2**16) * 0x7FEB352D % WORD
    word = ops.bitwise_xor(word, word // 2**15) * 0x846CA68B % WORD
    return ops.bitwise_xor(word, word // 2**16)
