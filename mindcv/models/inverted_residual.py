"""Networks of inverted residual blocks, from a table of stages: the base of MnasNet and the MobileNets."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import get_args

from mindspore import Tensor, nn, ops

from mindcv.errors import UserError, did_you_mean
from mindcv.kernels import AcceleratedFeatures, takes
from mindcv.models.classifier_head import ClassifierHead
from mindcv.models.dropout import Dropout, DropPath, RandomState, keep_random_state
from mindcv.models.layers import Block, GlobalMean, Padding, SqueezeExcite, conv_norm, make_divisible
from mindcv.models.weights.network_loading import put_weights
from mindcv.models.weights.pretrained import CLASSES, fetch_weights
from mindcv.models.weights.weight_files import read_weights
from mindcv.structure import Parts

__all__ = ["ConvNorm", "InvertedResidualNetwork", "Stage"]

ConvNorm = Callable[..., list[nn.Cell]]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A row of an architecture's table: blocks that are alike.

    Args:
        expand: Channels inside a block for each channel that enters it: one number for all blocks, or one for
            each. With 1 the block has no expansion and is a depthwise-separable convolution.
        channels: Channels that leave each block, at width 1.
        blocks: Number of blocks.
        stride: Stride of the first block; the others have 1.
        kernel: Height and width of the depthwise kernel.
        se: Channels inside the squeeze-excite for each channel that enters the block, or in MobileNetV3 for
            each channel inside the block; 0 for none.
        activation: Activation of the blocks; by default the network's.
        flat: Whether the blocks' layers lie directly among the network's features, without a skip connection.
            Parameter names follow from it.
    """

    expand: float | tuple[float, ...]
    channels: int
    blocks: int
    stride: int
    kernel: int
    se: float = 0.0
    activation: type[nn.Cell] | None = None
    flat: bool = False

    def expansions(self) -> tuple[float, ...]:
        """Return the expansion of each block."""
        return self.expand if isinstance(self.expand, tuple) else (self.expand,) * self.blocks


class InvertedResidualNetwork(ClassifierHead):
    """A network from a table of stages; a derived class is a family.

    Convolutions start from a normal distribution with standard deviation ``sqrt(2 / fan_out)``, where a
    depthwise kernel's ``fan_out`` is its area, as in the TensorFlow originals; the last layer from a uniform
    one within ``1 / sqrt(num_classes)``; biases 0, normalisations 1 and 0. The names of the parameters are
    MindCV's, whose checkpoints fit. ``in_channels``, ``num_classes``, ``bn_eps`` and ``padding`` are
    attributes too.

    Args:
        stages: The architecture.
        width: Multiplies the numbers of channels, before rounding to multiples of 8.
        stem_channels: Channels of the first convolution, at width 1.
        head_channels: Channels that enter the last dense layer, at this width.
        in_channels: Channels of the image.
        num_classes: Number of logits.
        drop_rate: Dropout before the last layer, in [0, 1).
        drop_path_rate: Stochastic depth, in [0, 1): block i of n has the rate ``drop_path_rate * i / n``,
            as in timm. It acts where a block has a skip connection.
        bn_eps: Added to the variances by batch normalisation.
        bn_momentum: Weight of the old statistic in the running one, in [0, 1): 0.99 is 0.01 in PyTorch.
        padding: ``"symmetric"``, as in PyTorch, or ``"same"``, as in TensorFlow; they differ at stride 2.
        sync_bn: Whether batch normalisation is over the batches of all processes.

    Inputs:
        Tensor of shape (N, in_channels, H, W), any H and W.

    Outputs:
        Logits of shape (N, num_classes).

    Raises:
        UserError: If an argument is out of range.
    """

    kernels = AcceleratedFeatures(pool=False)
    pooled_kernels = AcceleratedFeatures(pool=True)
    activation: type[nn.Cell] = nn.ReLU  # of the stem, the head, and the stages that name no other
    stem_padding: Padding | None = None  # None: the blocks'

    def __init__(
        self,
        stages: tuple[Stage, ...],
        width: float,
        stem_channels: int,
        head_channels: int,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        drop_rate: float = 0.2,
        drop_path_rate: float = 0.0,
        bn_eps: float = 1e-3,
        bn_momentum: float = 0.99,
        padding: Padding = "symmetric",
        sync_bn: bool = False,
    ):
        super().__init__()
        self.in_channels, self.num_classes = in_channels, num_classes
        self.bn_eps, self.padding = bn_eps, padding
        _check_counts(in_channels=in_channels, num_classes=num_classes, stem_channels=stem_channels)
        _check_positive(width=width, bn_eps=bn_eps)
        _check_rates(drop_rate=drop_rate, drop_path_rate=drop_path_rate, bn_momentum=bn_momentum)
        _check_padding(padding)
        conv = partial(conv_norm, padding=padding, eps=bn_eps, momentum=bn_momentum, sync=sync_bn)
        depth = sum(stage.blocks for stage in stages)
        state = RandomState()
        rates = [drop_path_rate * index / depth for index in range(depth)]
        drop_paths = [DropPath(rate, state, index) for index, rate in enumerate(rates)]
        channels = make_divisible(stem_channels * width)
        cells = [*conv(in_channels, channels, 3, 2, padding=self.stem_padding or padding), self.activation()]
        starts = [0]
        for stage in stages:
            starts.append(len(cells))
            out_channels = make_divisible(stage.channels * width)
            for i, expand in enumerate(stage.expansions()):
                stride = stage.stride if i == 0 else 1
                inner = make_divisible(channels * expand)
                layers = self._block_layers(stage, (channels, inner, out_channels), stride, conv)
                skip = stride == 1 and channels == out_channels
                drop_path = drop_paths.pop(0)
                cells += layers if stage.flat else [Block(layers, skip=skip, drop_path=drop_path)]
                channels = out_channels
        self.starts = (*starts, len(cells))  # of stem, stages, and the layers behind them
        last, feature_channels = self._last_features(channels, head_channels, conv)
        self.features = nn.SequentialCell([*cells, *last])
        self.pool = GlobalMean()
        self.head_channels = head_channels
        keep_random_state(self, state, is_random=drop_rate > 0 or drop_path_rate > 0)
        dropout = Dropout(drop_rate, state, depth)
        self.classifier = self._classifier(feature_channels, dropout, self._last_layer(num_classes))

    def _block_layers(
        self, stage: Stage, channels: tuple[int, int, int], stride: int, conv: ConvNorm
    ) -> list[nn.Cell]:
        """Return the layers of one block: expand, filter each channel on its own, project linearly.

        Args:
            stage: The row of the table.
            channels: Channels that enter, inside, and that leave.
            stride: Stride of the depthwise convolution.
            conv: Makes a convolution with its batch normalisation.
        """
        entering, inner, leaving = channels
        activation = stage.activation or self.activation
        layers = [] if inner == entering else [*conv(entering, inner), activation()]
        layers += conv(inner, inner, stage.kernel, stride, groups=inner)
        return [*layers, *self._activate(stage, entering, inner), *conv(inner, leaving)]

    def _activate(self, stage: Stage, entering: int, inner: int) -> list[nn.Cell]:
        """Return the layers after a block's depthwise convolution: the activation, and squeeze-excite if any.

        They are one layer, so that the layers' numbers are the same with and without squeeze-excite.
        """
        activation = (stage.activation or self.activation)()
        if stage.se:
            activation = nn.SequentialCell(
                [activation, SqueezeExcite(inner, max(1, int(entering * stage.se)))]
            )
        return [activation]

    def _last_features(self, channels: int, head_channels: int, conv: ConvNorm) -> tuple[list[nn.Cell], int]:
        """Return the layers after the last block, and their number of output channels."""
        return [*conv(channels, head_channels), self.activation()], head_channels

    def _classifier(self, channels: int, dropout: Dropout, last: nn.Cell) -> nn.Cell:
        """Return the cell after the mean over positions, which ends in the last layer.

        Args:
            channels: Channels of the features.
            dropout: Dropout before the last layer.
            last: The last layer.
        """
        return nn.SequentialCell([dropout, last])

    def load_published(self, url: str) -> None:
        """Load published weights into this network, which has not run yet.

        Args:
            url: Their address. The classifier stays as it is where the network has other classes.

        Raises:
            UserError: The weights cannot be fetched, or do not fit.
        """
        put_weights(self, read_weights(fetch_weights(url)), new_classifier=self.num_classes != CLASSES)

    def parts(self) -> Parts:
        """Return stem, stages, head and classifier."""
        cells = list(self.features.cells())
        ends = (*self.starts[1:], len(cells))
        stem, *stages, head = (cells[start:end] for start, end in zip(self.starts, ends, strict=True))
        return Parts(stem=stem, stages=stages, head=head, classifier=[self.pool, *self.classifier.cells()])

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (N, in_channels, H, W) to features (N, C, ceil(H / 32), ceil(W / 32))."""
        if self.is_random and self.training:
            ops.assign_add(self.passes, 1)
        kernels = self.kernels
        if kernels is not None and takes(x):
            return kernels(x)
        return self.features(x)

    def construct(self, x: Tensor) -> Tensor:
        """Map images (N, in_channels, H, W) to logits (N, num_classes)."""
        kernels = self.pooled_kernels
        if kernels is not None and takes(x):
            if self.is_random and self.training:
                ops.assign_add(self.passes, 1)
            return self.forward_head(kernels(x))  # the mean of a single position is the position
        return self.forward_head(self.forward_features(x))


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"{name}={value!r} must be a positive integer")


def _check_positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise UserError(f"{name}={value!r} is out of range: give a number above 0")


def _check_rates(**rates: float) -> None:
    for name, value in rates.items():
        if not 0 <= value < 1:
            raise UserError(f"{name}={value!r} is out of range: give a number in [0, 1)")


def _check_padding(padding: str) -> None:
    kinds = get_args(Padding)
    if padding not in kinds:
        remedy = did_you_mean(padding, kinds) or f": give one of {', '.join(kinds)}"
        raise UserError(f"padding={padding!r} is unknown{remedy}")
