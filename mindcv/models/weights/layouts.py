"""What a network's parameters are called in timm and in torchvision, made from the network itself.

Ours are MindCV's: MindSpore's names for normalisations, and cells numbered through the whole network. timm
numbers stages and blocks, and names the layers of a block; torchvision numbers all of them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from mindspore import nn

from mindcv.choices import Layout
from mindcv.errors import UserError
from mindcv.models.layers import Block, SqueezeExcite

__all__ = [
    "AVERAGES_COUNTER",
    "COUNTER",
    "LAYOUTS",
    "USUAL_EPS",
    "Layout",
    "classifier_name",
    "detect_layout",
    "in_layout",
    "layout_names",
    "stem_name",
    "without_prefix",
]

LAYOUTS: tuple[Layout, ...] = get_args(Layout)

# What a network adds to the variances where nothing says otherwise.
USUAL_EPS = {"mindcv": 1e-3, "timm": 1e-5, "torchvision": 1e-5}

# PyTorch counts the batches that a normalisation has seen, which no network here uses.
COUNTER = "num_batches_tracked"

# And a moving average counts the updates that it has followed.
AVERAGES_COUNTER = "n_averaged"

_STEM = {"mindcv": "features.0.weight", "timm": "conv_stem.weight", "torchvision": "layers.0.weight"}
_STEM_NORM = {"timm": "bn1.running_mean", "torchvision": "layers.1.running_mean"}
_CLASSIFIER = {
    "mindcv": "classifier.weight",
    "timm": "classifier.weight",
    "torchvision": "classifier.1.weight",
}

_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_DATA_PARALLEL = "module."

# Blocks of the stages that torchvision has, the first of them bare.
_B1_BLOCKS = [1, 3, 3, 3, 2, 4, 1]


def stem_name(layout: Layout) -> str:
    """Name of the first convolution's kernels, of shape (stem's channels, image's channels, 3, 3)."""
    return _STEM[layout]


def classifier_name(layout: Layout) -> str:
    """Name of the classifier's matrix, of shape (classes, 1280)."""
    return _CLASSIFIER[layout]


def detect_layout(names: Collection[str]) -> Layout:
    """Whose names these are, seen by those of stem and normalisation; ours where they are nobody else's."""
    # A cell of one's own may be called layers; MindSpore has no running_mean.
    if any(name.endswith((".running_mean", ".running_var")) for name in names):
        for layout in ("timm", "torchvision"):
            if _STEM[layout] in names or _STEM_NORM[layout] in names:
                return layout
    return "mindcv"


def without_prefix(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors of a foreign layout without the ``module.`` that DataParallel puts before each name."""
    bare = {name.removeprefix(_DATA_PARALLEL): value for name, value in tensors.items()}
    prefixed = all(name.startswith(_DATA_PARALLEL) or name == AVERAGES_COUNTER for name in tensors)
    return bare if prefixed and detect_layout(bare) != "mindcv" else dict(tensors)


def layout_names(network: nn.Cell, layout: Layout) -> dict[str, str]:
    """The name in a layout of each parameter of a network.

    Args:
        network: For a foreign layout, a `MnasNet`.
        layout: Whose names.

    Returns:
        Names in the layout by our own, in the network's order.

    Raises:
        UserError: The layout has no such network.
    """
    if layout == "mindcv":
        return {name: name for name in network.parameters_dict()}
    if not hasattr(network, "parts"):
        raise UserError(f"{layout} has no {type(network).__name__}: its names are known for MnasNet only")
    layers = _layers(network)
    if layout == "torchvision" and not _is_b1(network):
        raise UserError(
            "torchvision has MnasNet-B1 only (mnasnet_050 to mnasnet_140), and this network is none: "
            "take layout timm"
        )
    names = {}
    for layer in layers:
        theirs = layer.timm if layout == "timm" else layer.torchvision
        for parameter in layer.cell.get_parameters():
            last = parameter.name.rpartition(".")[2]
            names[parameter.name] = f"{theirs}.{_NORM[last] if layer.is_norm else last}"
    return {name: names[name] for name in network.parameters_dict()}


def in_layout(tensors: Mapping[str, np.ndarray], network: nn.Cell, layout: Layout) -> dict[str, np.ndarray]:
    """A network's tensors by a layout's names, with the counters that PyTorch's ``strict=True`` wants.

    Args:
        tensors: All of the network's, by our names.
        network: Their network.
        layout: Whose names they are to have.
    """
    found = {}
    for ours, theirs in layout_names(network, layout).items():
        found[theirs] = tensors[ours]
        if theirs.endswith(".running_var"):
            found[f"{theirs.rpartition('.')[0]}.{COUNTER}"] = np.array(0, np.int64)
    return found


@dataclass(frozen=True, kw_only=True)
class _Layer:
    cell: nn.Cell
    timm: str
    torchvision: str = ""  # which has no squeeze-excite

    @property
    def is_norm(self) -> bool:
        return isinstance(self.cell, nn.BatchNorm2d)


def _layers(network: nn.Cell) -> list[_Layer]:
    """Every layer that has parameters."""
    stem, *stages, head, last = network.parts()
    layers = _convolution(stem, ("conv_stem", "bn1"), ("layers.0", "layers.1"))
    for s, cells in enumerate(stages):
        is_bare = not isinstance(cells[0], Block)
        for i, block in enumerate([cells] if is_bare else cells):
            inner = block if is_bare else block.layers.cells()
            # torchvision's bare layers follow the stem's three.
            place = ("layers", 3) if is_bare else (f"layers.{7 + s}.{i}.layers", 0)
            layers += _block(inner, f"blocks.{s}.{i}", *place)
    number = 7 + len(stages)
    layers += _convolution(head, ("conv_head", "bn2"), (f"layers.{number}", f"layers.{number + 1}"))
    classifier = next(cell for cell in last if isinstance(cell, nn.Dense))
    return [*layers, _Layer(cell=classifier, timm="classifier", torchvision="classifier.1")]


def _convolution(
    cells: Sequence[nn.Cell], timm: tuple[str, str], torchvision: tuple[str, str]
) -> list[_Layer]:
    return [
        _Layer(cell=c, timm=t, torchvision=v) for c, t, v in zip(cells[:2], timm, torchvision, strict=True)
    ]


def _block(cells: Iterable[nn.Cell], timm: str, torchvision: str, first: int) -> list[_Layer]:
    """The layers of one block: two convolutions, depthwise and pointwise, or three."""
    inner = [cell for outer in cells for _, cell in outer.cells_and_names()]
    squeezes = [cell for cell in inner if isinstance(cell, SqueezeExcite)]
    gates = {id(part) for squeeze in squeezes for part in (squeeze.reduce, squeeze.expand)}
    convolutions = [cell for cell in inner if isinstance(cell, nn.Conv2d) and id(cell) not in gates]
    norms = [cell for cell in inner if isinstance(cell, nn.BatchNorm2d)]
    names = ("conv_dw", "conv_pw") if len(convolutions) == 2 else ("conv_pw", "conv_dw", "conv_pwl")
    layers = []
    for n, (convolution, norm, name) in enumerate(zip(convolutions, norms, names, strict=True)):
        place = first + 3 * n  # a ReLU or the block's end is the third
        layers += _convolution(
            (convolution, norm),
            (f"{timm}.{name}", f"{timm}.bn{n + 1}"),
            (f"{torchvision}.{place}", f"{torchvision}.{place + 1}"),
        )
    for squeeze in squeezes:
        layers.append(_Layer(cell=squeeze.reduce, timm=f"{timm}.se.conv_reduce"))
        layers.append(_Layer(cell=squeeze.expand, timm=f"{timm}.se.conv_expand"))
    return layers


def _is_b1(network: nn.Cell) -> bool:
    stages = network.parts()[1:-2]
    has_gates = any(isinstance(cell, SqueezeExcite) for _, cell in network.cells_and_names())
    bare = [not isinstance(cells[0], Block) for cells in stages]
    blocks = [1 if is_bare else len(cells) for cells, is_bare in zip(stages, bare, strict=True)]
    return not has_gates and bare == [True, *[False] * 6] and blocks == _B1_BLOCKS
