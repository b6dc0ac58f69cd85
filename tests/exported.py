"""ONNX files of our networks, by MindSpore's own exporter, with the metadata that export.py writes."""

import json
from collections.abc import Sequence
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
from mindspore import nn
from onnx import TensorProto, helper, numpy_helper

from builders.data import channel_scale
from config import Config
from mindcv.runtime.quiet import quiet_logging

__all__ = ["write_onnx"]


def write_onnx(
    path: Path,
    network: nn.Cell,
    config: Config,
    classes: Sequence[str],
    *,
    batch: int = 4,
    uint8: bool = False,
) -> Path:
    """Export a network; with `uint8`, normalisation goes into the file."""
    size, channels = config.augment.image_resize, config.model.in_channels
    images = ms.Tensor(np.zeros((batch, channels, size, size), np.float32))
    with quiet_logging():
        ms.onnx.export(network.set_train(False), images, file_name=str(path))
    model = onnx.load(path)
    mean, std = channel_scale(config)
    if uint8:
        _take_bytes(model.graph, mean, std)
    metadata = {
        "model": config.model.model,
        "config": config.options(),
        "classes": list(classes),
        "mean": list(mean),
        "std": list(std),
    }
    helper.set_model_props(model, {"mindcv": json.dumps(metadata)})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def _take_bytes(graph: onnx.GraphProto, mean: Sequence[float], std: Sequence[float]) -> None:
    """Let a graph take uint8 images and normalise them itself."""
    image = next(value for value in graph.input if value.name not in {i.name for i in graph.initializer})
    shape = [dimension.dim_value for dimension in image.type.tensor_type.shape.dim]
    nodes = [
        helper.make_node("Cast", ["bytes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], [image.name]),
    ]
    for name, values in (("mean", mean), ("std", std)):
        graph.initializer.append(
            numpy_helper.from_array(np.reshape(values, (1, -1, 1, 1)).astype(np.float32), name)
        )
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *kept])
    graph.input.remove(image)
    graph.input.insert(0, helper.make_tensor_value_info("bytes", TensorProto.UINT8, shape))
