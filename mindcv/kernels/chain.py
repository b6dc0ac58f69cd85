"""A network's feature layers as the chain of fused layers that the kernels compute."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import mindspore as ms
from mindspore import Parameter, nn

from mindcv.structure import CompositeLayer, Composition

__all__ = ["Chain", "FusedLayer", "UncoveredError", "chain_of"]

POINTWISE, DEPTHWISE, IMAGE = 0, 1, 2
ACTIVATIONS = {nn.ReLU: 1, nn.ReLU6: 2, nn.HSwish: 3}
GATES = {nn.Sigmoid: 1, nn.HSigmoid: 2}
SAME = -1  # TensorFlow's padding


class UncoveredError(Exception):
    """A layer that the kernels do not compute; the message names it."""


@dataclass
class FusedLayer:
    """A convolution with what follows it: batch normalisation, activation, gates, a skip connection."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d
    activation: int = 0
    gate: int = 0
    gate_layers: tuple[nn.Conv2d, ...] = ()
    skip: int = -1  # number of the layer whose result is added
    drop: int = -1  # number of the drop path

    def parameters(self) -> list[Parameter]:
        """Return those with gradients: weight, gamma, beta, and the gate's."""
        own = [self.conv.weight, self.norm.gamma, self.norm.beta]
        return own + [p for conv in self.gate_layers for p in (conv.weight, conv.bias)]

    def statistics(self) -> list[Parameter]:
        """Return the running mean and variance."""
        return [self.norm.moving_mean, self.norm.moving_variance]

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether it normalises by the batch's own statistics."""
        chosen = self.norm.use_batch_statistics
        return bool(self.norm.training if chosen is None else chosen)

    def code(self, *, batch_statistics: bool) -> list[int]:
        """Return the numbers that describe it to the kernels, see ``program.h``."""
        conv = self.conv
        kind = (
            IMAGE
            if conv.group == 1 and conv.kernel_size[0] > 1
            else DEPTHWISE
            if conv.group > 1
            else POINTWISE
        )
        pad = SAME if conv.pad_mode == "same" else conv.kernel_size[0] // 2
        reduced = self.gate_layers[0].out_channels if self.gate else 0
        norm: Any = self.norm.bn_train  # what it was built with counts, as without kernels
        return [
            *(kind, conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0], pad),
            *(self.activation, int(batch_statistics), reduced, self.gate, self.skip, self.drop),
            *struct.unpack("2q", struct.pack("2d", norm.epsilon, norm.momentum)),
        ]


@dataclass
class Chain:
    """Fused layers in the order in which they are applied, and the drop paths in training."""

    layers: list[FusedLayer] = field(default_factory=list)
    drop_paths: list[Any] = field(default_factory=list)

    def code(self, *, pool: bool, batch_statistics: bool | None = None) -> list[int]:
        """Return the program of the kernels.

        Args:
            pool: Whether the result is the mean over the positions.
            batch_statistics: False for evaluation; None for what each normalisation is set to.
        """
        chosen = [
            layer.uses_batch_statistics if batch_statistics is None else batch_statistics
            for layer in self.layers
        ]
        numbers = [len(self.layers), int(pool), len(self.drop_paths), 0]
        for layer, batch in zip(self.layers, chosen, strict=True):
            numbers += layer.code(batch_statistics=batch)
        return numbers

    @property
    def is_trained(self) -> bool:
        """Whether a pass in training leaves anything but features: gradients, or running statistics."""
        parameters = [p for layer in self.layers for p in layer.parameters()]
        return self.uses_batch_statistics or bool(self.drop_paths) or any(p.requires_grad for p in parameters)

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether any layer normalises by the batch's own statistics."""
        return any(layer.uses_batch_statistics for layer in self.layers)

    @property
    def out_channels(self) -> int:
        """Channels of the features."""
        return self.layers[-1].conv.out_channels


def chain_of(cells: Sequence[nn.Cell]) -> Chain:
    """Return the chain of a network's feature layers.

    Args:
        cells: Applied one after the other. Composite layers describe themselves, see `Composition`.

    Raises:
        UncoveredError: A layer is none that the kernels compute, or in another place or precision.
    """
    chain = Chain()
    for cell in cells:
        _append(chain, cell)
    if not chain.layers or chain.layers[-1].norm is None:
        raise UncoveredError("no convolution with its normalisation at the end")
    return chain


def _append(chain: Chain, cell: nn.Cell) -> None:
    if isinstance(cell, nn.SequentialCell):
        for inner in cell.cells():
            _append(chain, inner)
    elif isinstance(cell, CompositeLayer):
        _append_composite(chain, cell)
    elif type(cell) is nn.Conv2d:
        _append_convolution(chain, cell)
    elif type(cell) is nn.BatchNorm2d:
        _append_norm(chain, cell)
    elif type(cell) in ACTIVATIONS:
        layer = _last(chain, cell)
        if layer.activation or layer.gate or layer.skip >= 0:
            raise UncoveredError(f"a second {type(cell).__name__}")
        layer.activation = ACTIVATIONS[type(cell)]
    elif type(cell) is not nn.Identity:
        raise UncoveredError(type(cell).__name__)


def _last(chain: Chain, cell: nn.Cell) -> FusedLayer:
    if not chain.layers or chain.layers[-1].norm is None:
        raise UncoveredError(f"{type(cell).__name__} without a convolution and its normalisation")
    return chain.layers[-1]


def _append_composite(chain: Chain, cell: Any) -> None:
    composition: Composition = cell.composition()
    if composition.combine == "multiply":
        _append_gate(chain, cell, composition)
        return
    before = len(chain.layers) - 1
    outer = (chain.layers[before].activation, chain.layers[before].gate) if before >= 0 else (0, 0)
    for step in composition.steps:
        if isinstance(step, str):
            raise UncoveredError(f"{type(cell).__name__} with {step}")
        _append(chain, step)
    if composition.combine == "add":
        layer = _last(chain, cell)
        inner = chain.layers[before + 1 :]
        begins = before >= 0 and outer == (chain.layers[before].activation, 0)  # with a value as it is stored
        nested = any(other.skip >= 0 for other in inner)
        if not inner or not begins or nested or layer.activation or layer.gate:
            raise UncoveredError(f"{type(cell).__name__} with such a skip connection")
        layer.skip = before
        drop_path = getattr(cell, "drop_path", None)
        if drop_path is not None and drop_path.rate > 0 and drop_path.training:
            layer.drop = len(chain.drop_paths)
            chain.drop_paths.append(drop_path)


def _append_gate(chain: Chain, cell: nn.Cell, composition: Composition) -> None:
    layer = _last(chain, cell)
    kinds = [step if isinstance(step, str) else type(step) for step in composition.steps]
    fits = len(kinds) == 5 and kinds[:4] == ["mean", nn.Conv2d, nn.ReLU, nn.Conv2d] and kinds[4] in GATES
    if not fits or layer.gate or layer.skip >= 0:
        raise UncoveredError(type(cell).__name__)
    cells = [step for step in composition.steps if not isinstance(step, str)]
    reduce, expand = (step for step in cells if isinstance(step, nn.Conv2d))
    for conv in (reduce, expand):
        _check_cell(conv)
        if conv.kernel_size != (1, 1) or conv.stride != (1, 1) or conv.group != 1 or not conv.has_bias:
            raise UncoveredError(f"{type(cell).__name__} with such convolutions")
    layer.gate = GATES[kinds[4]]
    layer.gate_layers = (reduce, expand)


def _append_convolution(chain: Chain, conv: nn.Conv2d) -> None:
    _check_cell(conv)
    kernel, stride = conv.kernel_size, conv.stride
    square = kernel[0] == kernel[1] and stride[0] == stride[1] and conv.dilation == (1, 1)
    symmetric = conv.pad_mode == "pad" and set(_numbers(conv.padding)) == {kernel[0] // 2} and kernel[0] % 2
    if conv.has_bias or not square or not (symmetric or conv.pad_mode == "same"):
        raise UncoveredError(f"Conv2d with kernel {kernel}, stride {stride}, pad_mode {conv.pad_mode}")
    if not chain.layers:
        covered = conv.group == 1 and kernel[0] > 1
    elif conv.group == 1:
        covered = kernel[0] == 1 and stride[0] == 1
    else:
        depthwise = conv.group == conv.in_channels == conv.out_channels
        covered = depthwise and kernel[0] in (3, 5) and stride[0] in (1, 2)
    if not covered or (chain.layers and chain.layers[-1].norm is None):
        raise UncoveredError(f"Conv2d with kernel {kernel}, stride {stride}, {conv.group} groups")
    pending: Any = None
    chain.layers.append(FusedLayer(conv, pending))


def _numbers(padding: int | Sequence[int]) -> Iterator[int]:
    return iter((padding,) if isinstance(padding, int) else padding)


def _append_norm(chain: Chain, norm: nn.BatchNorm2d) -> None:
    if not chain.layers or chain.layers[-1].norm is not None:
        raise UncoveredError("BatchNorm2d without a convolution")
    _check_cell(norm)
    chain.layers[-1].norm = norm


def _check_cell(cell: nn.Cell) -> None:
    if getattr(cell, "fp16", False) or getattr(cell, "bf16", False):
        raise UncoveredError(f"{type(cell).__name__} in half precision")
    if any(parameter.dtype != ms.float32 for parameter in cell.get_parameters()):
        raise UncoveredError(f"{type(cell).__name__} with parameters that are not float32")
