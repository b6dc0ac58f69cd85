"""Logits of a network in float64, by PyTorch's operators and the network's description of its cells."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from mindcv.structure import CompositeLayer, StagedNetwork, parts_of
from tests.support.peers import torch

__all__ = ["exact_logits"]


def exact_logits(network: StagedNetwork, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the logits of normalised images in evaluation; dropout and stochastic depth do nothing there."""
    cells = [cell for part in parts_of(network).in_order() for cell in part]
    return _sequence(cells, torch.tensor(inputs.astype(np.float64))).numpy()


def _sequence(steps: Iterable[Any], x: Any) -> Any:
    for step in steps:
        if step == "mean":
            x = x.mean((2, 3), keepdim=True)
        elif step == "flatten":
            x = x.flatten(1)
        else:
            x = _cell(step, x)
    return x


def _cell(cell: Any, x: Any) -> Any:
    match cell:
        case nn.Conv2d():
            return _convolution(cell, x)
        case nn.BatchNorm2d():
            mean, variance, gamma, beta = (
                _double(p)[:, None, None]
                for p in (cell.moving_mean, cell.moving_variance, cell.gamma, cell.beta)
            )
            return (x - mean) / torch.sqrt(variance + cell.eps) * gamma + beta
        case nn.Dense():
            return x @ _double(cell.weight).T + _double(cell.bias)
        case nn.ReLU():
            return x.clamp(min=0)
        case nn.HSigmoid():
            return (x / 6 + 0.5).clamp(0, 1)
        case nn.HSwish():
            return x * (x / 6 + 0.5).clamp(0, 1)
        case CompositeLayer():
            described = cell.composition()
            y = _sequence(described.steps, x)
            if described.combine is None:
                return y
            return x + y if described.combine == "add" else x * y
        case nn.SequentialCell():
            return _sequence(cell.cells(), x)
    assert type(cell).__name__ in ("Dropout", "DropPath"), type(cell)
    return x


def _convolution(conv: Any, x: Any) -> Any:
    """Apply a convolution; ``same`` has the odd zero at the bottom and the right, as TensorFlow says."""
    kernel, stride, sides = conv.weight.shape[2], conv.stride[-1], []
    for length in (x.shape[3], x.shape[2]):
        total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        sides += [total // 2, total - total // 2] if conv.pad_mode == "same" else [_side(conv)] * 2
    bias = _double(conv.bias) if conv.has_bias else None
    x = torch.nn.functional.pad(x, sides)
    return torch.nn.functional.conv2d(x, _double(conv.weight), bias, stride=stride, groups=conv.group)


def _side(conv: Any) -> int:
    return conv.padding if isinstance(conv.padding, int) else conv.padding[0]


def _double(parameter: Any) -> Any:
    return torch.tensor(parameter.asnumpy().astype(np.float64))
