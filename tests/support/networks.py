"""Read the parameters of a network, for tests of any network."""

import numpy as np
from mindspore import nn

__all__ = ["values_of"]


def values_of(network: nn.Cell) -> dict[str, np.ndarray]:
    """A network's parameters by name."""
    return {parameter.name: parameter.asnumpy().copy() for parameter in network.get_parameters()}
