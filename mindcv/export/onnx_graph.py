"""A network's cells as an ONNX graph, batch normalisation folded into the convolutions before it."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from mindspore import nn
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mindcv.errors import UserError
from mindcv.export.folding import fold_norm, fold_scale
from mindcv.export.image_format import ImageFormat

__all__ = ["INPUT", "OUTPUT", "onnx_model"]

INPUT, OUTPUT = "images", "logits"

# Cells that evaluation passes through unchanged.
INERT = ("Dropout", "DropPath")


def onnx_model(network: nn.Cell, images: ImageFormat, opset: int) -> ModelProto:
    """The ONNX model of a network in evaluation.

    Input ``images``: [N, C, H, W] with free N, H and W, float32 and normalised, or uint8 on the scale 0 to
    255 where the format says so. Output ``logits``: float32 [N, num_classes]. Nodes and constants are named
    like the network's cells and parameters.

    Args:
        network: A network of `features`, which end in a global average, and a `classifier`.
        images: What the file takes.
        opset: Version of ONNX's operators.

    Raises:
        UserError: If the network holds a cell that has no counterpart here.
    """
    for part in ("features", "classifier"):
        if not isinstance(getattr(network, part, None), nn.Cell):
            raise UserError(
                f"{type(network).__name__} has no cell '{part}', and only such networks are exported"
            )
    graph = _Graph()
    x = graph.normalized(images) if images.uint8_input else INPUT
    x = graph.sequence(network.features, x, "features", std=images.std if images.uint8_input else None)
    x = graph.node("Flatten", [graph.node("GlobalAveragePool", [x], "mean")], "flat", axis=1)
    graph.dense(network.classifier, x, "classifier", OUTPUT)
    kind = TensorProto.UINT8 if images.uint8_input else TensorProto.FLOAT
    classes = int(network.classifier.weight.shape[0])
    proto = helper.make_graph(
        graph.nodes,
        "mnasnet",
        [helper.make_tensor_value_info(INPUT, kind, ["N", images.channels, "H", "W"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", classes])],
        graph.constants,
    )
    operators = [helper.make_opsetid("", opset)]
    # The oldest format that knows these operators is read by the most tools.
    version = helper.find_min_ir_version_for(operators)
    return helper.make_model(proto, opset_imports=operators, ir_version=version, producer_name="mindcv")


class _Graph:
    """Nodes and constants so far; each method adds those of one cell and returns their output's name."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, array: NDArray, name: str) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def normalized(self, images: ImageFormat) -> str:
        """Raw images less their mean. What is left of the normalisation, a scale, is the first convolution's.

        The mean cannot be the convolution's too: beyond the border lies what is 0 after normalisation.
        """
        mean = self.constant(np.reshape(images.mean, (1, -1, 1, 1)), "mean_pixel")
        return self.node("Sub", [self.node("Cast", [INPUT], "pixels", to=TensorProto.FLOAT), mean], "centred")

    def sequence(self, cells: Iterable[nn.Cell], x: str, path: str, *, std: Any = None) -> str:
        """Cells in a row; the first convolution also divides the input by `std`, where that is given."""
        folded = False
        for index, (cell, following) in enumerate(pairwise([*cells, None])):
            name = f"{path}.{index}"
            if isinstance(cell, nn.Conv2d):
                x = self.convolution(cell, following, x, name, std=std)
                std = None
            elif not folded:
                x = self.cell(cell, x, name)
            folded = isinstance(cell, nn.Conv2d) and isinstance(following, nn.BatchNorm2d)
        return x

    def cell(self, cell: Any, x: str, name: str) -> str:
        kind = type(cell).__name__
        if isinstance(cell, nn.SequentialCell):
            return self.sequence(cell, x, name)
        if isinstance(cell, nn.ReLU):
            return self.node("Relu", [x], name)
        # This room receives networks, and does not import the room that defines their cells.
        if kind in INERT:
            return x
        if kind == "Block":
            return self.block(cell, x, name)
        if kind == "SqueezeExcite":
            return self.squeeze_excite(cell, x, name)
        raise UserError(f"the network's cell '{name}' is a {kind}, which cannot be exported: leave it out")

    def convolution(self, conv: Any, following: Any, x: str, name: str, *, std: Any = None) -> str:
        """A convolution with the batch normalisation that may follow it."""
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

    def block(self, block: Any, x: str, name: str) -> str:
        out = self.sequence(block.layers, x, f"{name}.layers")
        return self.node("Add", [out, x], name) if block.skip else out

    def squeeze_excite(self, cell: Any, x: str, name: str) -> str:
        gate = self.node("GlobalAveragePool", [x], f"{name}.mean")
        gate = self.convolution(cell.reduce, None, gate, f"{name}.reduce")
        gate = self.node("Relu", [gate], f"{name}.relu")
        gate = self.convolution(cell.expand, None, gate, f"{name}.expand")
        gate = self.node("Sigmoid", [gate], f"{name}.sigmoid")
        return self.node("Mul", [x, gate], name)

    def dense(self, dense: Any, x: str, name: str, output: str) -> None:
        if not isinstance(dense, nn.Dense):
            raise UserError(f"the network's cell '{name}' is a {type(dense).__name__}, not a Dense one")
        inputs = [x, self.constant(_array(dense.weight), f"{name}.weight")]
        if dense.has_bias:
            inputs.append(self.constant(_array(dense.bias), f"{name}.bias"))
        self.nodes.append(helper.make_node("Gemm", inputs, [output], name, transB=1))


def _array(parameter: Any) -> NDArray[np.float64]:
    return parameter.asnumpy().astype(np.float64)


def _padding(conv: Any) -> dict[str, Any]:
    """The attributes that pad as MindSpore does."""
    if conv.pad_mode == "same":
        return {"auto_pad": "SAME_UPPER"}  # the odd zero at the bottom and the right, whatever the size
    if conv.pad_mode == "valid":
        return {"pads": [0, 0, 0, 0]}
    sides = conv.padding
    top, bottom, left, right = (sides,) * 4 if isinstance(sides, int) else sides
    return {"pads": [top, left, bottom, right]}
