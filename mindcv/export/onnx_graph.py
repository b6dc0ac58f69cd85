"""Conversion of a network's cells to an ONNX graph, with batch normalisation folded into convolutions.

`write_cell` chooses by the type of a cell. A family's own layer needs no entry here: it describes itself as a
composition of known cells (`mindcv.structure.CompositeLayer`).
"""

from collections.abc import Iterable
from functools import singledispatch
from itertools import pairwise
from typing import Any

import numpy as np
from mindspore import nn
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mindcv.errors import UserError
from mindcv.export.folding import fold_norm, fold_scale
from mindcv.export.image_format import ImageFormat
from mindcv.structure import CompositeLayer, StagedNetwork, parts_of

__all__ = ["INPUT", "OUTPUT", "Graph", "onnx_model", "write_cell"]

INPUT, OUTPUT = "images", "logits"


def onnx_model(network: nn.Cell, images: ImageFormat, opset: int) -> ModelProto:
    """Return the ONNX model of a network in evaluation.

    Input ``images``: [N, C, H, W] with free N, H and W, float32 and normalised, or uint8 on the scale 0 to
    255 where the format says so. Output ``logits``: float32 [N, num_classes]. Nodes and constants are named
    like the network's cells and parameters.

    Args:
        network: A `StagedNetwork` whose last cell is a dense layer.
        images: The images that the file takes.
        opset: Version of ONNX's operators.

    Raises:
        UserError: If the network does not describe its parts, or has a cell that cannot be exported.
    """
    if not isinstance(network, StagedNetwork):
        raise UserError(
            f"{type(network).__name__} does not describe its parts, which an export needs: "
            "give it a method parts() that returns mindcv.structure.Parts"
        )
    cells = [cell for part in parts_of(network).in_order() for cell in part]
    last: Any = cells[-1] if cells else None
    if not isinstance(last, nn.Dense):
        raise UserError(
            f"{type(network).__name__} ends in {type(last).__name__}, and only networks that end in "
            "a Dense layer can be exported: give it a classifier"
        )
    graph = Graph(network)
    x = graph.normalized(images) if images.uint8_input else INPUT
    graph.sequence(cells, x, "", std=images.std if images.uint8_input else None)
    graph.nodes[-1].output[0] = OUTPUT
    kind = TensorProto.UINT8 if images.uint8_input else TensorProto.FLOAT
    proto = helper.make_graph(
        graph.nodes,
        type(network).__name__.lower(),
        [helper.make_tensor_value_info(INPUT, kind, ["N", images.channels, "H", "W"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", int(last.out_channels)])],
        graph.constants,
    )
    operators = [helper.make_opsetid("", opset)]
    # The oldest format with these operators can be read by most tools.
    version = helper.find_min_ir_version_for(operators)
    return helper.make_model(proto, opset_imports=operators, ir_version=version, producer_name="mindcv")


class Graph:
    """Nodes and constants so far; each method adds some and returns the name of their output.

    Args:
        network: The network, whose names of cells are the graph's.
    """

    def __init__(self, network: nn.Cell) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.names = {id(cell): name for name, cell in network.cells_and_names()}

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, array: Any, name: str) -> str:
        """Add a constant, in float32."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def scalar(self, value: float, name: str) -> str:
        """Add a constant without dimensions."""
        self.constants.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def normalized(self, images: ImageFormat) -> str:
        """Subtract the mean from raw images. The other half, a scale, is folded into the first convolution.

        The mean cannot be folded too: the padding of a convolution is 0 after the normalisation.
        """
        mean = self.constant(np.reshape(images.mean, (1, -1, 1, 1)), "mean_pixel")
        return self.node("Sub", [self.node("Cast", [INPUT], "pixels", to=TensorProto.FLOAT), mean], "centred")

    def sequence(self, steps: Iterable[nn.Cell | str], x: str, name: str, *, std: Any = None) -> str:
        """Add steps one after the other.

        Args:
            steps: Cells, ``"mean"`` or ``"flatten"``, see `mindcv.structure.Composition`.
            x: Name of their input.
            name: Name of the cell that they belong to.
            std: If given, the first convolution also divides the input by it.
        """
        folded = False
        for step, following in pairwise([*steps, None]):
            if step == "mean":
                x = self.node("GlobalAveragePool", [x], f"{name}.mean")
            elif step == "flatten":
                x = self.node("Flatten", [x], f"{name}.flat", axis=1)
            elif isinstance(step, nn.Conv2d):
                x = self.convolution(step, following, x, std=std)
                std = None
            elif not folded:
                x = self.cell(step, x)
            folded = isinstance(step, nn.Conv2d) and isinstance(following, nn.BatchNorm2d)
        return x

    def cell(self, cell: Any, x: str) -> str:
        """Add a cell that is not a convolution."""
        name = self.names[id(cell)]
        if not isinstance(cell, CompositeLayer):
            return write_cell(cell, self, x, name)
        composition = cell.composition()
        out = self.sequence(composition.steps, x, name)
        if composition.combine is None:
            return out
        operator = {"add": "Add", "multiply": "Mul"}[composition.combine]
        return self.node(operator, [out, x] if operator == "Add" else [x, out], name)

    def convolution(self, conv: Any, following: Any, x: str, *, std: Any = None) -> str:
        """Add a convolution with the batch normalisation that may follow it."""
        name = self.names[id(conv)]
        weight = _array(conv.weight)
        bias = _array(conv.bias) if conv.has_bias else np.zeros(len(weight))
        if isinstance(following, nn.BatchNorm2d):
            statistics = (following.gamma, following.beta, following.moving_mean, following.moving_variance)
            weight, bias = fold_norm(weight, bias, *map(_array, statistics), eps=following.eps)
        if std is not None:
            weight = fold_scale(weight, std)
        inputs = [x, self.constant(weight, f"{name}.weight"), self.constant(bias, f"{name}.bias")]
        return self.node(
            "Conv",
            inputs,
            name,
            kernel_shape=conv.kernel_size,
            strides=conv.stride,
            dilations=conv.dilation,
            group=conv.group,
            **_padding(conv),
        )


@singledispatch
def write_cell(cell: Any, graph: Graph, x: str, name: str) -> str:
    """Add a cell to a graph, and return the name of its output.

    Args:
        cell: The cell; its type chooses the function.
        graph: The graph.
        x: Name of its input.
        name: Name of the cell.

    Raises:
        UserError: The type is not supported.
    """
    raise UserError(
        f"the network's cell '{name}' is a {type(cell).__name__}, which cannot be exported: remove it, or "
        "give it a method composition"
    )


@write_cell.register
def _(cell: nn.SequentialCell, graph: Graph, x: str, name: str) -> str:
    return graph.sequence(cell.cells(), x, name)


@write_cell.register(nn.Identity)
@write_cell.register(nn.Dropout)
def _(cell: nn.Cell, graph: Graph, x: str, name: str) -> str:
    return x


@write_cell.register
def _(cell: nn.ReLU, graph: Graph, x: str, name: str) -> str:
    return graph.node("Relu", [x], name)


@write_cell.register
def _(cell: nn.ReLU6, graph: Graph, x: str, name: str) -> str:
    return graph.node("Clip", [x, graph.scalar(0, f"{name}.min"), graph.scalar(6, f"{name}.max")], name)


@write_cell.register
def _(cell: nn.Sigmoid, graph: Graph, x: str, name: str) -> str:
    return graph.node("Sigmoid", [x], name)


@write_cell.register
def _(cell: nn.HSigmoid, graph: Graph, x: str, name: str) -> str:
    return graph.node("HardSigmoid", [x], name, alpha=1 / 6, beta=0.5)


@write_cell.register
def _(cell: nn.HSwish, graph: Graph, x: str, name: str) -> str:
    # ONNX has a HardSwish of its own from operators 14 on only.
    gate = graph.node("HardSigmoid", [x], f"{name}.gate", alpha=1 / 6, beta=0.5)
    return graph.node("Mul", [x, gate], name)


@write_cell.register
def _(cell: nn.Dense, graph: Graph, x: str, name: str) -> str:
    inputs = [x, graph.constant(_array(cell.weight), f"{name}.weight")]
    if cell.has_bias:
        inputs.append(graph.constant(_array(cell.bias), f"{name}.bias"))
    return graph.node("Gemm", inputs, name, transB=1)


def _array(parameter: Any) -> NDArray[np.float64]:
    return parameter.asnumpy().astype(np.float64)


def _padding(conv: Any) -> dict[str, Any]:
    """Return the attributes that pad as MindSpore does."""
    if conv.pad_mode == "same":
        return {"auto_pad": "SAME_UPPER"}  # the odd zero at the bottom and the right, whatever the size
    if conv.pad_mode == "valid":
        return {"pads": [0, 0, 0, 0]}
    sides = conv.padding
    top, bottom, left, right = (sides,) * 4 if isinstance(sides, int) else sides
    return {"pads": [top, left, bottom, right]}
