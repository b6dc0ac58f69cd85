"""Feature maps of a network at strides 2, 4, 8, 16 and 32, for detection and segmentation."""

from collections.abc import Sequence

from mindspore import Tensor, nn, ops

from mindcv.errors import UserError
from mindcv.models.dropout import keep_random_state
from mindcv.structure import Parts, parts_of

__all__ = ["FeatureExtractWrapper", "FeaturePyramid", "feature_pyramid"]


class FeaturePyramid(nn.Cell):
    """Stem and stages of a network, as a network that returns their feature maps.

    Args:
        parts: The cells of the stem and of the first stages.
        ends: Indices of the parts whose output is a map, in rising order; the last part is one of them.
        channels: Channels of each map.
        strides: Stride of each map.
        source: The network that the parts belong to. Its parameters keep their names.

    Attributes:
        feature_channels: Channels of each map.
        feature_strides: Stride of each map: a map of an image of (H, W) has (ceil(H / stride),
            ceil(W / stride)).

    Inputs:
        Tensor of shape (N, in_channels, H, W), any H and W.

    Outputs:
        A tuple of maps (N, channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(
        self,
        parts: Sequence[Sequence[nn.Cell]],
        ends: Sequence[int],
        *,
        channels: list[int],
        strides: list[int],
        source: nn.Cell,
    ):
        super().__init__()
        cells = [cell for part in parts for cell in part]
        names = [[parameter.name for parameter in cell.get_parameters()] for cell in cells]
        self.features = nn.SequentialCell(cells)
        for cell, own in zip(cells, names, strict=True):
            for parameter, name in zip(cell.get_parameters(), own, strict=True):
                parameter.name = name  # a cell that is put into another gives its parameters longer names
        lengths = [len(part) for part in parts]
        self.starts = tuple(sum(lengths[:i]) for i in range(len(parts) + 1))
        self.leaves = tuple(self.starts[end + 1] - 1 for end in ends)
        self.feature_channels = channels
        self.feature_strides = strides
        self.is_random = False
        state = getattr(source, "random_state", None)
        if state is not None:
            keep_random_state(self, state, is_random=source.is_random)

    @property
    def out_channels(self) -> list[int]:
        """Channels of each map, under MindCV's name."""
        return self.feature_channels

    def parts(self) -> Parts:
        """Return stem and stages; there is no head and no classifier."""
        cells = list(self.features.cells())
        pairs = zip(self.starts, self.starts[1:], strict=False)
        stem, *stages = (cells[start:end] for start, end in pairs)
        return Parts(stem=stem, stages=stages)

    def construct(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images (N, in_channels, H, W) to feature maps."""
        if self.is_random and self.training:
            ops.assign_add(self.passes, 1)
        maps = ()
        for i, cell in enumerate(self.features):
            x = cell(x)
            if i in self.leaves:
                maps += (x,)
        return maps


def feature_pyramid(network: nn.Cell, out_indices: Sequence[int] | None = None) -> FeaturePyramid:
    """Return a network that computes the last feature map of each stride of another one.

    Args:
        network: A `StagedNetwork`. Its cells are used, not copied.
        out_indices: Which maps to return, by number from 0, in rising order; by default all.

    Raises:
        UserError: If there are no such maps, or the network does not describe its parts.
    """
    found = parts_of(network, "features_only=True")
    parts = [found.stem, *found.stages]
    last: dict[int, tuple[int, int]] = {}  # stride: index of its last part, channels
    stride = 1
    for number, part in enumerate(parts):
        convolutions = [c for cell in part for _, c in cell.cells_and_names() if isinstance(c, nn.Conv2d)]
        for convolution in convolutions:
            stride *= convolution.stride[0]
        last[stride] = (number, convolutions[-1].out_channels)
    strides = list(last)
    indices = _checked(range(len(strides)) if out_indices is None else out_indices, len(strides))
    strides = [strides[i] for i in indices]
    ends = [last[stride][0] for stride in strides]
    return FeaturePyramid(
        parts[: ends[-1] + 1],
        ends,
        channels=[last[stride][1] for stride in strides],
        strides=strides,
        source=network,
    )


def _checked(indices: Sequence[int], maps: int) -> list[int]:
    found = list(indices) if isinstance(indices, Sequence) and not isinstance(indices, str) else []
    numbers = all(isinstance(i, int) and not isinstance(i, bool) and 0 <= i < maps for i in found)
    if not found or not numbers or found != sorted(set(found)):
        raise UserError(
            f"out_indices={indices!r} must be different numbers from 0 to {maps - 1} in rising order, "
            "for example (2, 3, 4)"
        )
    return found


class FeatureExtractWrapper(nn.Cell):
    """Feature maps of a network under MindCV's name.

    Besides a `StagedNetwork`, the network may be one that is written for MindCV: its attribute
    ``feature_info`` lists a dict with ``chs``, ``reduction`` and ``name`` for each map, its cells are applied
    in the order in which they were assigned, and with ``flatten_sequential`` the cells inside of its
    sequences are counted. One that ``is_rewritten`` returns the maps itself.

    Args:
        net: The network. Its cells are used, not copied.
        out_indices: Which maps to return, by number from 0, in rising order.

    Inputs:
        Tensor of shape (N, in_channels, H, W).

    Outputs:
        A list of maps.

    Raises:
        UserError: There are no such maps, or the network does not tell its parts.
    """

    def __init__(self, net: nn.Cell, out_indices: Sequence[int] = (0, 1, 2, 3, 4)) -> None:
        super().__init__(auto_prefix=False)
        info = getattr(net, "feature_info", None)
        self.returns_maps = info is None or getattr(net, "is_rewritten", False)
        self.chosen: tuple[int, ...] = ()
        if info is None:
            self.net = feature_pyramid(net, out_indices)
            self.channels = list(self.net.feature_channels)
            return
        indices = _checked(out_indices, len(info))
        self.channels = [info[i]["chs"] for i in indices]
        if self.returns_maps:
            self.net, self.chosen = net, tuple(indices)
            return
        cells = _cells_in_order(net, flatten=getattr(net, "flatten_sequential", False))
        names = [name for name, _ in cells]
        missing = [info[i]["name"] for i in indices if info[i]["name"] not in names]
        if missing:
            raise UserError(f"feature_info names '{missing[0]}', which is not a cell: name one of {names}")
        self.chosen = tuple(names.index(info[i]["name"]) for i in indices)
        self.net = nn.CellList([cell for _, cell in cells[: self.chosen[-1] + 1]], auto_prefix=False)

    @property
    def out_channels(self) -> list[int]:
        """Channels of each map."""
        return self.channels

    def construct(self, x: Tensor) -> list[Tensor]:
        """Images (N, in_channels, H, W) to the maps."""
        maps = []
        if self.returns_maps:
            found = self.net(x)
            return [found[i] for i in self.chosen] if self.chosen else list(found)
        for i, cell in enumerate(self.net):
            x = cell(x)
            if i in self.chosen:
                maps.append(x)
        return maps


def _cells_in_order(net: nn.Cell, *, flatten: bool) -> list[tuple[str, nn.Cell]]:
    """Return the cells directly inside of a network by name, those of sequences one by one if wanted."""
    found = []
    for name, cell in net.name_cells().items():
        if flatten and isinstance(cell, nn.SequentialCell):
            found += [(f"{name}.{i}", inner) for i, inner in enumerate(cell)]
        else:
            found.append((name, cell))
    return found
