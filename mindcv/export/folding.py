"""Arithmetic on weights that does not change a network's results; in float64, rounded once at the end."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["fold_norm", "fold_scale"]

Array = NDArray[np.float64]


def fold_norm(
    weight: Array, bias: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float
) -> tuple[Array, Array]:
    """Return the weights of one convolution that replaces a convolution and its batch normalisation.

    Args:
        weight: Shape [out, in, kh, kw].
        bias: Shape [out].
        gamma: Scale of the normalisation, shape [out], as the others.
        beta: Its shift.
        mean: Its running mean.
        variance: Its running variance.
        eps: Added to the variance.

    Returns:
        The new weight and bias.
    """
    scale = gamma / np.sqrt(variance + eps)
    return weight * scale[:, None, None, None], (bias - mean) * scale + beta


def fold_scale(weight: Array, std: Sequence[float]) -> Array:
    """Return the weight of a convolution that first divides each channel of its input by a number.

    Args:
        weight: Shape [out, in, kh, kw].
        std: One number for each input channel.
    """
    return weight / np.reshape(std, (1, -1, 1, 1))
