"""Dropout whose masks depend only on a key and a counter, so that a resumed run repeats them.

MindSpore's own dropout draws from a generator whose state cannot be saved on a CPU. Here a mask is a hash of
the key, the number of the forward pass, the layer and the element: the same in graph and in PyNative mode.

The hash computes on 32-bit words held in int64, with multiplication, `//` by a power of two, bitwise_and and
bitwise_xor. MindSpore lists all of them for Ascend, GPU and CPU, and CANN lists INT64 for its bitwise and. No
product exceeds 63 bits, so every device computes the same masks. There is no `%`: MindSpore's CPU kernel
computes it in float64, which rounds above 2**53. `//` would be exact even then, on words below 2**32.
"""

from itertools import count

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.structure import Composition

__all__ = ["DropPath", "Dropout", "RandomState", "keep_random_state", "seed_dropout"]

WORDS = 2**32
LOW = WORDS - 1  # mask of the 32 bits of a word

_numbers = count()


class RandomState:
    """The key and the counter that determine the masks of one network.

    Args:
        seed: Seed of the key; by default that of `mindspore.set_seed`, or a random one if none is set.

    Attributes:
        key: The key, an int64 parameter of 32 bits.
        passes: Forward passes in training so far, an int32 parameter.
    """

    def __init__(self, seed: int | None = None) -> None:
        number = next(_numbers)  # one graph may hold two networks, whose parameters need different names
        key = _key(ms.get_seed() if seed is None else seed)
        self.key = Parameter(Tensor(key, ms.int64), name=f"dropout.key.{number}", requires_grad=False)
        self.passes = Parameter(Tensor(0, ms.int32), name=f"dropout.passes.{number}", requires_grad=False)


def keep_random_state(network: nn.Cell, state: RandomState, *, is_random: bool) -> None:
    """Attach the state of its dropout cells to a network, which then counts its forward passes.

    Args:
        network: The network.
        state: The state of its dropout cells.
        is_random: Whether a forward pass in training draws any mask.
    """
    network.random_state = state
    network.is_random = is_random
    # Not through nn.Cell, which would list it among the network's parameters.
    object.__setattr__(network, "passes", state.passes)


def seed_dropout(network: nn.Cell, seed: int, rank: int = 0) -> None:
    """Set the key of a network that has not run yet from a run's seed and a rank.

    Args:
        network: A network; one without dropout is left unchanged.
        seed: Seed of the run.
        rank: Rank of this process; each rank draws its own masks.
    """
    state = getattr(network, "random_state", None)
    if state is not None:
        state.key.set_data(Tensor(_key((seed, rank)), ms.int64))


def _key(seed: int | tuple[int, ...] | None) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


class Dropout(nn.Cell):
    """In training, set elements to 0 with probability `rate` and divide the others by ``1 - rate``.

    Srivastava et al. 2014. In evaluation the input is returned unchanged. The network counts the
    forward passes.

    Args:
        rate: Probability of dropping an element, in [0, 1).
        state: Key and counter of the masks. Its parameters are not listed among the network's.
        layer: Number of the layer; each layer draws its own masks.

    Inputs:
        Tensor of any shape.

    Outputs:
        Tensor of the same shape.
    """

    def __init__(self, rate: float, state: RandomState, layer: int) -> None:
        super().__init__()
        self.rate = rate
        self.layer = layer
        # Not through nn.Cell, which would list them among the network's parameters.
        object.__setattr__(self, "key", state.key)
        object.__setattr__(self, "passes", state.passes)

    def construct(self, x: Tensor) -> Tensor:
        """Return ``x`` with some elements dropped and the others scaled."""
        if self.rate == 0 or not self.training:
            return x
        return x * self.mask(x.shape, x.dtype)

    def composition(self) -> Composition:
        """Return no steps, because evaluation does not change the input."""
        return Composition()

    def mask(self, shape: tuple[int, ...], dtype: ms.Type) -> Tensor:
        """Return zeros and ``1 / (1 - rate)`` in the given shape."""
        size = 1
        for length in shape:
            size = size * length
        first = _mix(self.key + 0x3C6EF372 * self.layer)
        second = _mix(first + self.passes)
        elements = ops.arange(0, size, 1, dtype=ms.int64)
        words = _mix(_mix(elements + second) + first)
        kept = words >= int(self.rate * WORDS)
        return ops.cast(kept, dtype).reshape(shape) / (1 - self.rate)


class DropPath(Dropout):
    """Stochastic depth: in training, set all of a sample to 0 with probability ``rate``.

    The other samples are divided by ``1 - rate``, which preserves the expected value. In evaluation the input
    is returned unchanged. Huang et al. 2016 (arXiv 1603.09382).

    Inputs:
        Tensor of shape (N, C, H, W).

    Outputs:
        Tensor of the same shape.
    """

    def construct(self, x: Tensor) -> Tensor:
        """Return ``x`` with some samples dropped and the others scaled."""
        if self.rate == 0 or not self.training:
            return x
        return x * self.mask((x.shape[0], 1, 1, 1), x.dtype)


def _mix(word: Tensor) -> Tensor:
    """Hash the low 32 bits of int64 words with Wellons' lowbias32, a bijection of 32-bit words."""
    word = ops.bitwise_and(word, LOW)
    word = ops.bitwise_and(ops.bitwise_xor(word, word // 2**16) * 0x7FEB352D, LOW)
    word = ops.bitwise_and(ops.bitwise_xor(word, word // 2**15) * 0x846CA68B, LOW)
    return ops.bitwise_xor(word, word // 2**16)
