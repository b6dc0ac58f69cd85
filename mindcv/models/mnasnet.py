"""MnasNet: B1 at five widths, A1 with squeeze-excite, and Small.

Tan et al. 2019, "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (arXiv 1807.11626). The
tables are those of the authors' TensorFlow code (tensorflow/tpu, models/official/mnasnet).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import get_args

from mindspore import Tensor, nn, ops

from mindcv.errors import UserError, did_you_mean
from mindcv.models.classifier_head import HEAD_CHANNELS, ClassifierHead
from mindcv.models.dropout import Dropout, DropPath, RandomState, keep_random_state
from mindcv.models.layers import Block, Padding, SqueezeExcite, conv_norm, make_divisible
from mindcv.models.registry import register_model
from mindcv.models.weights.pretrained import PUBLISHED

__all__ = [
    "MnasNet",
    "Stage",
    "mnasnet_050",
    "mnasnet_075",
    "mnasnet_100",
    "mnasnet_130",
    "mnasnet_140",
    "mnasnet_small",
    "semnasnet_075",
    "semnasnet_100",
]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A row of an architecture's table: blocks that are alike.

    Args:
        expand: Channels inside a block for each channel that enters it; 1 leaves the expansion out, and
            the block is a depthwise-separable convolution.
        channels: Channels that leave each block, at width 1.
        blocks: Number of blocks.
        stride: Stride of the first block; the others have 1.
        kernel: Height and width of the depthwise kernel.
        se: Channels inside the squeeze-excite for each channel that enters the block; 0 for none.
        flat: Whether the blocks' layers lie bare among the network's features, with no skip around
            them. Parameter names follow from it.
    """

    expand: int
    channels: int
    blocks: int
    stride: int
    kernel: int
    se: float = 0.0
    flat: bool = False


B1 = (  # what the search without squeeze-excite found; output sizes for a 224 px image
    Stage(expand=1, channels=16, blocks=1, stride=1, kernel=3, flat=True),  # 112
    Stage(expand=3, channels=24, blocks=3, stride=2, kernel=3),  # 56
    Stage(expand=3, channels=40, blocks=3, stride=2, kernel=5),  # 28
    Stage(expand=6, channels=80, blocks=3, stride=2, kernel=5),  # 14
    Stage(expand=6, channels=96, blocks=2, stride=1, kernel=3),  # 14
    Stage(expand=6, channels=192, blocks=4, stride=2, kernel=5),  # 7
    Stage(expand=6, channels=320, blocks=1, stride=1, kernel=3),  # 7
)

A1 = (  # figure 7a of the paper
    Stage(expand=1, channels=16, blocks=1, stride=1, kernel=3, flat=True),  # 112
    Stage(expand=6, channels=24, blocks=2, stride=2, kernel=3),  # 56
    Stage(expand=3, channels=40, blocks=3, stride=2, kernel=5, se=0.25),  # 28
    Stage(expand=6, channels=80, blocks=4, stride=2, kernel=3),  # 14
    Stage(expand=6, channels=112, blocks=2, stride=1, kernel=3, se=0.25),  # 14
    Stage(expand=6, channels=160, blocks=3, stride=2, kernel=5, se=0.25),  # 7
    Stage(expand=6, channels=320, blocks=1, stride=1, kernel=3),  # 7
)

SMALL = (
    # The original's table says that 16 channels enter this block, where the stem makes 8, and for that
    # has no skip around it. timm, whose weights are the only published ones, has the skip.
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3),  # 112
    Stage(expand=3, channels=16, blocks=1, stride=2, kernel=3),  # 56
    Stage(expand=6, channels=16, blocks=2, stride=2, kernel=3),  # 28
    Stage(expand=6, channels=32, blocks=4, stride=2, kernel=5, se=0.25),  # 14
    Stage(expand=6, channels=32, blocks=3, stride=1, kernel=3, se=0.25),  # 14
    Stage(expand=6, channels=88, blocks=3, stride=2, kernel=5, se=0.25),  # 7
    Stage(expand=6, channels=144, blocks=1, stride=1, kernel=3),  # 7
)


def bottleneck(
    stage: Stage, in_channels: int, out_channels: int, stride: int, conv: Callable[..., list[nn.Cell]]
) -> list[nn.Cell]:
    """The layers of one block: expand, filter each channel on its own, project linearly.

    Squeeze-excite joins the second ReLU, so that the layers' numbers are the same with and without it.

    Args:
        stage: The row of the table.
        in_channels: Channels that enter.
        out_channels: Channels that leave.
        stride: Stride of the depthwise convolution.
        conv: Makes a convolution with its batch normalisation.
    """
    inner = in_channels * stage.expand
    layers = [*conv(in_channels, inner), nn.ReLU()] if stage.expand > 1 else []
    activation = nn.ReLU()
    if stage.se:
        reduced = max(1, int(in_channels * stage.se))
        activation = nn.SequentialCell([activation, SqueezeExcite(inner, reduced)])
    layers += [*conv(inner, inner, stage.kernel, stride, groups=inner), activation]
    return [*layers, *conv(inner, out_channels)]


class MnasNet(ClassifierHead):
    """A network from a table of stages.

    Weights start as in the TensorFlow original: convolutions from a normal distribution with standard
    deviation ``sqrt(2 / fan_out)``, where a depthwise kernel's ``fan_out`` is its area; the classifier
    from a uniform one within ``1 / sqrt(num_classes)``; biases 0, normalisations 1 and 0. The names of
    the parameters are MindCV's, whose checkpoints fit. ``in_channels``, ``num_classes``, ``bn_eps`` and
    ``padding`` are attributes too.

    Args:
        stages: The architecture.
        width: What all numbers of channels but the head's are multiplied by, before rounding to eights.
        stem_channels: Channels of the first convolution, at width 1.
        in_channels: Channels of the image.
        num_classes: Number of logits.
        drop_rate: Dropout before the classifier, in [0, 1).
        drop_path_rate: Stochastic depth, in [0, 1): block i of n has the rate ``drop_path_rate * i / n``,
            as in timm. It acts where a block has a skip.
        bn_eps: What batch normalisation adds to the variance.
        bn_momentum: Weight of the old statistic in the running one, in [0, 1): 0.99 is 0.01 in PyTorch.
        padding: ``"symmetric"``, as in PyTorch and MindCV, or ``"same"``, as in TensorFlow; they differ
            at stride 2.
        sync_bn: Whether batch normalisation is over the batches of all processes.

    Inputs:
        Tensor of shape (N, in_channels, H, W), any H and W.

    Outputs:
        Logits of shape (N, num_classes).

    Raises:
        UserError: An argument is out of its range.
    """

    def __init__(
        self,
        stages: tuple[Stage, ...],
        width: float,
        stem_channels: int,
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
        channels = make_divisible(stem_channels * width)
        state = RandomState()
        cells = [*conv(in_channels, channels, 3, 2), nn.ReLU()]
        index, depth = 0, sum(stage.blocks for stage in stages)
        starts = [0]
        for stage in stages:
            starts.append(len(cells))
            out_channels = make_divisible(stage.channels * width)
            for i in range(stage.blocks):
                stride = stage.stride if i == 0 else 1
                layers = bottleneck(stage, channels, out_channels, stride, conv)
                skip = stride == 1 and channels == out_channels
                drop_path = DropPath(drop_path_rate * index / depth, state, index)
                cells += layers if stage.flat else [Block(layers, skip=skip, drop_path=drop_path)]
                channels, index = out_channels, index + 1
        self.starts = (*starts, len(cells))  # of stem, stages and head among the features
        cells += [*conv(channels, HEAD_CHANNELS), nn.ReLU()]
        self.features = nn.SequentialCell(cells)
        self.dropout = Dropout(drop_rate, state, depth)
        keep_random_state(self, state, is_random=drop_rate > 0 or drop_path_rate > 0)
        self.reset_classifier(num_classes)

    def parts(self) -> list[list[nn.Cell]]:
        """The cells from input to output: the stem, each stage of the table, the head, the classifier."""
        cells = list(self.features.cells())
        ends = (*self.starts[1:], len(cells))
        features = [cells[start:end] for start, end in zip(self.starts, ends, strict=True)]
        return [*features, [self.dropout, self.classifier]]

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) to features (N, 1280, ceil(H / 32), ceil(W / 32))."""
        if self.is_random and self.training:
            ops.assign_add(self.passes, 1)
        return self.features(x)

    def construct(self, x: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) to logits (N, num_classes)."""
        return self.forward_head(self.forward_features(x))


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"{name}={value!r} is no count: give a whole number of at least 1")


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


@register_model(aliases=["mnasnet0_50"], url=PUBLISHED + "mnasnet_050-7d8bf4db.ckpt", options_of=MnasNet)
def mnasnet_050(**kwargs) -> MnasNet:
    """MnasNet-B1 at width 0.5: 2.2 million parameters, 104 million multiplications at 224 px."""
    return MnasNet(B1, 0.5, 32, **kwargs)


@register_model(aliases=["mnasnet0_75"], url=PUBLISHED + "mnasnet_075-465d366d.ckpt", options_of=MnasNet)
def mnasnet_075(**kwargs) -> MnasNet:
    """MnasNet-B1 at width 0.75: 3.2 million parameters, 215 million multiplications at 224 px."""
    return MnasNet(B1, 0.75, 32, **kwargs)


@register_model(aliases=["mnasnet1_0"], url=PUBLISHED + "mnasnet_100-1bcf43f8.ckpt", options_of=MnasNet)
def mnasnet_100(**kwargs) -> MnasNet:
    """MnasNet-B1: 4.4 million parameters, 314 million multiplications at 224 px."""
    return MnasNet(B1, 1.0, 32, **kwargs)


@register_model(aliases=["mnasnet1_3"], url=PUBLISHED + "mnasnet_130-a43a150a.ckpt", options_of=MnasNet)
def mnasnet_130(**kwargs) -> MnasNet:
    """MnasNet-B1 at width 1.3: 6.3 million parameters, 526 million multiplications at 224 px."""
    return MnasNet(B1, 1.3, 32, **kwargs)


@register_model(aliases=["mnasnet1_4"], url=PUBLISHED + "mnasnet_140-7e20bb30.ckpt", options_of=MnasNet)
def mnasnet_140(**kwargs) -> MnasNet:
    """MnasNet-B1 at width 1.4: 7.1 million parameters, 589 million multiplications at 224 px."""
    return MnasNet(B1, 1.4, 32, **kwargs)


@register_model(options_of=MnasNet)
def semnasnet_075(**kwargs) -> MnasNet:
    """MnasNet-A1, with squeeze-excite, at width 0.75."""
    return MnasNet(A1, 0.75, 32, **kwargs)


@register_model(options_of=MnasNet)
def semnasnet_100(**kwargs) -> MnasNet:
    """MnasNet-A1, with squeeze-excite: 3.9 million parameters, 312 million multiplications at 224 px."""
    return MnasNet(A1, 1.0, 32, **kwargs)


@register_model(options_of=MnasNet)
def mnasnet_small(drop_rate: float = 0.0, **kwargs) -> MnasNet:
    """MnasNet-Small: 2.0 million parameters, 68 million multiplications at 224 px; no dropout."""
    return MnasNet(SMALL, 1.0, 8, drop_rate=drop_rate, **kwargs)
