"""Names of the layers of inverted residual networks, block by block, here and in timm."""

from collections.abc import Iterable
from dataclasses import dataclass

from mindspore import nn

from mindcv.models.layers import Block
from mindcv.structure import CompositeLayer, StagedNetwork, parts_of

__all__ = ["BlockLayers", "blocks_of", "layers_with_parameters", "timm_layers"]

_TIMM = {  # by the number of convolutions in a block
    1: ("conv",),
    2: ("conv_dw", "conv_pw"),
    3: ("conv_pw", "conv_dw", "conv_pwl"),
}


@dataclass(frozen=True, kw_only=True)
class BlockLayers:
    """Our names of the layers of one block.

    Args:
        stage: Number of the stage.
        index: Number of the block in its stage.
        number: Number of the block in the network.
        convolutions: Each convolution with the normalisation behind it.
        gate: The two convolutions of the squeeze-excite; empty where there is none.
        is_wrapped: Whether the layers are in a `Block` of their own, and not directly among the features.
    """

    stage: int
    index: int
    number: int
    convolutions: list[tuple[str, str]]
    gate: list[str]
    is_wrapped: bool


def layers_with_parameters(cells: Iterable[nn.Cell]) -> list[str]:
    """Return our names of the layers in some cells that have parameters, in order."""
    parameters = (parameter for cell in cells for parameter in cell.get_parameters())
    return list(dict.fromkeys(parameter.name.rpartition(".")[0] for parameter in parameters))


def blocks_of(network: StagedNetwork) -> list[BlockLayers]:
    """Return the blocks of the stages; layers directly among the features are one block of their stage."""
    blocks: list[BlockLayers] = []
    for stage, cells in enumerate(parts_of(network).stages):
        is_wrapped = isinstance(cells[0], Block)
        for index, block in enumerate([[cell] for cell in cells] if is_wrapped else [cells]):
            gate = layers_with_parameters(_gates(block))
            others = [name for name in layers_with_parameters(block) if name not in gate]
            blocks.append(
                BlockLayers(
                    stage=stage,
                    index=index,
                    number=len(blocks),
                    convolutions=list(zip(others[::2], others[1::2], strict=True)),
                    gate=gate,
                    is_wrapped=is_wrapped,
                )
            )
    return blocks


def timm_layers(network: StagedNetwork) -> dict[str, str]:
    """Return timm's name of each layer by our name."""
    parts = parts_of(network)
    names: dict[str, str] = {}
    names |= zip(layers_with_parameters(parts.stem), ("conv_stem", "bn1"), strict=True)
    for block in blocks_of(network):
        place = f"blocks.{block.stage}.{block.index}"
        for n, (convolution, norm) in enumerate(block.convolutions):
            names[convolution] = f"{place}.{_TIMM[len(block.convolutions)][n]}"
            names[norm] = f"{place}.bn{n + 1}"
        for gate, name in zip(block.gate, ("conv_reduce", "conv_expand"), strict=False):
            names[gate] = f"{place}.se.{name}"
    names |= zip(layers_with_parameters(parts.head), ("conv_head", "bn2"), strict=False)
    names |= zip(layers_with_parameters(parts.classifier), ("classifier",), strict=False)
    return names


def _gates(cells: Iterable[nn.Cell]) -> list[nn.Cell]:
    inner = [cell for outer in cells for _, cell in outer.cells_and_names()]
    return [
        cell
        for cell in inner
        if isinstance(cell, CompositeLayer) and cell.composition().combine == "multiply"
    ]
