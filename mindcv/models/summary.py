"""What a network costs: parameters and multiplications of each of its parts, counted without running it."""

import math
from dataclasses import dataclass

from mindspore import nn

from mindcv.errors import UserError
from mindcv.models.layers import SqueezeExcite

__all__ = ["Row", "Summary", "summarize"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A part of a network.

    Args:
        name: stem, stage 0 and so on, head, classifier.
        shape: Shape of what it returns for one image: (C, H, W), or (C,) behind the mean over positions.
        parameters: Numbers that training learns, frozen ones included.
        statistics: Numbers of batch normalisation's running mean and variance.
        macs: Multiplications with addition in convolutions and dense layers, for one image.
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
        image_size: Height and width of the image that shapes and multiplications are for.
        in_channels: Its channels.
        rows: The parts, from input to output.
    """

    image_size: int
    in_channels: int
    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """Numbers that training learns."""
        return sum(row.parameters for row in self.rows)

    @property
    def statistics(self) -> int:
        """Numbers of batch normalisation's running mean and variance, which a checkpoint holds besides."""
        return sum(row.statistics for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiplications with addition for one image; additions, means and activations are not counted."""
        return sum(row.macs for row in self.rows)

    def __str__(self) -> str:
        """A table."""
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
    """Count a network's parameters and multiplications, part by part.

    Shapes follow from the strides: every convolution here makes ``ceil(size / stride)`` of a size.

    Args:
        network: A network with a method ``parts``, such as `MnasNet` or its pyramid: lists of its cells, from
            input to output; the first is the stem, and the last two are head and classifier.
        image_size: Height and width of the image.

    Raises:
        UserError: The size is no positive number, the network has no ``parts``, or a layer of it is of a kind
            whose multiplications are unknown.
    """
    if isinstance(image_size, bool) or not isinstance(image_size, int) or image_size < 1:
        raise UserError(f"image_size={image_size!r} is no size: give a whole number of at least 1")
    if not hasattr(network, "parts"):
        raise UserError(f"{type(network).__name__} does not tell its parts: give it a method parts")
    parts = network.parts()
    names = ["stem", *(f"stage {i}" for i in range(len(parts) - 3)), "head", "classifier"]
    shape: tuple[int, ...] = (0, image_size, image_size)
    rows = []
    for name, part in zip(names, parts, strict=True):
        if not part:
            continue
        if name == "classifier":
            shape = shape[:1]
        macs = 0
        for cell in part:
            shape, more = _passed(cell, shape)
            macs += more
        parameters = [parameter for cell in part for parameter in cell.get_parameters()]
        statistics = sum(p.size for p in parameters if p.name.endswith((".moving_mean", ".moving_variance")))
        learnt = sum(p.size for p in parameters) - statistics
        rows.append(Row(name=name, shape=shape, parameters=learnt, statistics=statistics, macs=macs))
    first = next(cell for _, cell in network.cells_and_names() if isinstance(cell, nn.Conv2d))
    return Summary(image_size=image_size, in_channels=first.in_channels, rows=tuple(rows))


def _passed(cell: nn.Cell, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The shape that a cell makes of one, and its multiplications."""
    if isinstance(cell, nn.Conv2d):
        sizes = tuple(math.ceil(size / step) for size, step in zip(shape[1:], cell.stride, strict=True))
        return (cell.out_channels, *sizes), cell.weight.size * math.prod(sizes)
    if isinstance(cell, nn.Dense):
        return (*shape[:-1], cell.out_channels), cell.weight.size
    if isinstance(cell, SqueezeExcite):  # its convolutions see one position
        return shape, cell.reduce.weight.size + cell.expand.weight.size
    if isinstance(cell, nn.BatchNorm2d):
        return shape, 0
    inner = list(cell.cells())
    if not inner and list(cell.get_parameters()):
        raise UserError(f"{type(cell).__name__}: the multiplications of such a layer are not known")
    macs = 0
    for one in inner:
        shape, more = _passed(one, shape)
        macs += more
    return shape, macs


def _cells(name: str, shape: tuple[int, ...], parameters: int, statistics: int, macs: int) -> tuple[str, ...]:
    return name, _times(*shape), f"{parameters:,}", f"{statistics:,}", f"{macs / 1e6:.2f}"


def _times(*lengths: int) -> str:
    return " x ".join(map(str, lengths))
