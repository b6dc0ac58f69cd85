"""Parameters and MACs of each part of a network, counted without running it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mindspore import nn

from mindcv.errors import UserError
from mindcv.structure import CompositeLayer, parts_of

__all__ = ["Row", "Summary", "summarize"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A part of a network.

    Args:
        name: stem, stage 0 and so on, head, classifier.
        shape: Shape of its output for one image: (C, H, W), or (C,) behind the mean over positions.
        parameters: Number of trainable values, frozen ones included.
        statistics: Number of values in batch normalisation's running means and variances.
        macs: MACs (multiply-accumulate operations) of convolutions and dense layers, for one image.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    statistics: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A network part by part.

    Args:
        image_size: Height and width of the image, which shapes and MACs depend on.
        in_channels: Its channels.
        rows: The parts, from input to output.
    """

    image_size: int
    in_channels: int
    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(row.parameters for row in self.rows)

    @property
    def statistics(self) -> int:
        """Number of values in running means and variances, which a checkpoint contains as well."""
        return sum(row.statistics for row in self.rows)

    @property
    def macs(self) -> int:
        """MACs for one image; additions, means and activations are not counted."""
        return sum(row.macs for row in self.rows)

    def __str__(self) -> str:
        """Return a table."""
        head = ("part", "output", "parameters", "statistics", "M-MACs")
        first = ("image", _times(self.in_channels, self.image_size, self.image_size), "", "", "")
        body = [_cells(row.name, row.shape, row.parameters, row.statistics, row.macs) for row in self.rows]
        total = _cells("total", (), self.parameters, self.statistics, self.macs)
        lines = [head, first, *body, total]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        texts = [
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        rule = "-" * max(len(text) for text in texts)
        return "\n".join([texts[0], rule, *texts[1:-1], rule, texts[-1]])


def summarize(network: nn.Cell, image_size: int = 224) -> Summary:
    """Count a network's parameters and MACs, part by part.

    Shapes follow from the strides: every convolution here turns a size into ``ceil(size / stride)``.

    Args:
        network: A `StagedNetwork`, such as `MnasNet` or its `FeaturePyramid`.
        image_size: Height and width of the image.

    Raises:
        UserError: If the size is not a positive integer, the network does not describe its parts, or the MACs
            of one of its layers are unknown.
    """
    if isinstance(image_size, bool) or not isinstance(image_size, int) or image_size < 1:
        raise UserError(f"image_size={image_size!r} must be a positive integer")
    shape: tuple[int, ...] = (0, image_size, image_size)
    rows = []
    for name, part in parts_of(network).named().items():
        shape, macs = _through(part, shape)
        parameters = [parameter for cell in part for parameter in cell.get_parameters()]
        statistics = sum(p.size for p in parameters if p.name.endswith((".moving_mean", ".moving_variance")))
        learnt = sum(p.size for p in parameters) - statistics
        rows.append(Row(name=name, shape=shape, parameters=learnt, statistics=statistics, macs=macs))
    first = next(cell for _, cell in network.cells_and_names() if isinstance(cell, nn.Conv2d))
    return Summary(image_size=image_size, in_channels=first.in_channels, rows=tuple(rows))


def _through(steps: Iterable[nn.Cell | str], shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Return the shape after some steps, and their MACs."""
    macs = 0
    for step in steps:
        if step == "mean":
            shape = (shape[0], 1, 1)
        elif step == "flatten":
            shape = shape[:1]
        else:
            shape, more = _through_cell(step, shape)
            macs += more
    return shape, macs


def _through_cell(cell: Any, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    if isinstance(cell, nn.Conv2d):
        sizes = tuple(math.ceil(size / step) for size, step in zip(shape[1:], cell.stride, strict=True))
        return (cell.out_channels, *sizes), cell.weight.size * math.prod(sizes)
    if isinstance(cell, nn.Dense):
        return (*shape[:-1], cell.out_channels), cell.weight.size
    if isinstance(cell, nn.BatchNorm2d):
        return shape, 0
    if isinstance(cell, CompositeLayer):
        composition = cell.composition()
        behind, macs = _through(composition.steps, shape)
        return shape if composition.combine == "multiply" else behind, macs
    inner = list(cell.cells())
    if not inner and list(cell.get_parameters()):
        raise UserError(
            f"the MACs of a {type(cell).__name__} layer are unknown: give it a method composition"
        )
    return _through(inner, shape)


def _cells(name: str, shape: tuple[int, ...], parameters: int, statistics: int, macs: int) -> tuple[str, ...]:
    return name, _times(*shape), f"{parameters:,}", f"{statistics:,}", f"{macs / 1e6:.2f}"


def _times(*lengths: int) -> str:
    return " x ".join(map(str, lengths))
