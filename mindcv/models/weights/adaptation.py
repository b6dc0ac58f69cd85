"""Adapt weights to a network with another epsilon, exactly, or with another number of input channels."""

import math
from collections.abc import Mapping

import numpy as np

from mindcv.errors import UserError

__all__ = ["adapt_stem", "fold_eps"]


def fold_eps(tensors: Mapping[str, np.ndarray], old: float, new: float) -> dict[str, np.ndarray]:
    """Return tensors that, with epsilon `new`, give the same results in evaluation as before with `old`.

    A normalisation divides by ``sqrt(variance + eps)``, so that its factor gamma becomes
    ``gamma * sqrt((variance + new) / (variance + old))``. This is computed in float64. Training
    differs, because it divides by the variance of a batch.

    Args:
        tensors: Arrays by MindSpore's names, in which ``gamma`` and ``moving_variance`` belong together.
        old: Epsilon that the tensors were made for.
        new: Epsilon of the network that will use them.

    Raises:
        UserError: If a variance is below zero.
    """
    folded = dict(tensors)
    for name, variance in tensors.items():
        if not name.endswith("moving_variance"):
            continue
        if np.any(variance < 0):
            raise UserError(f"'{name}' has a variance below zero: use another file")
        gamma = f"{name.removesuffix('moving_variance')}gamma"
        wide = variance.astype(np.float64)
        ratio = np.sqrt((wide + new) / (wide + old))
        folded[gamma] = (tensors[gamma].astype(np.float64) * ratio).astype(tensors[gamma].dtype)
    return folded


def adapt_stem(kernels: np.ndarray, channels: int) -> np.ndarray:
    """Adapt the first convolution's kernels for colour images to another number of channels.

    For one channel the kernels are summed over the channels: a grey image gives the same result as three
    equal channels. For other numbers they are repeated in turn and scaled by ``3 / channels``, which
    preserves the size of the sum. The rule is timm's (``adapt_input_conv``).

    Args:
        kernels: Shape (out, 3, height, width).
        channels: Channels of the network's images.

    Returns:
        Shape (out, channels, height, width).
    """
    wide = kernels.astype(np.float64)
    if channels == 1:
        adapted = wide.sum(axis=1, keepdims=True)
    else:
        adapted = np.tile(wide, (1, math.ceil(channels / 3), 1, 1))[:, :channels] * (3 / channels)
    return adapted.astype(kernels.dtype)
