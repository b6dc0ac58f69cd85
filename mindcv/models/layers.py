"""The parts MnasNet is made of."""

import math
from typing import Literal

from mindspore import Tensor, nn, ops
from mindspore.common.initializer import Normal

__all__ = ["Block", "DropPath", "Padding", "SqueezeExcite", "conv2d", "conv_norm", "make_divisible"]

Padding = Literal["symmetric", "same"]


def make_divisible(value: float, divisor: int = 8) -> int:
    """Round a number of channels to a multiple of ``divisor``, at most a tenth down.

    The rule of the TensorFlow original (tensorflow/tpu, ``round_filters``).

    Args:
        value: Wanted number of channels, a product with the width.
        divisor: What the result is a multiple of, and its minimum.

    Returns:
        The number of channels to build.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def conv2d(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    padding: Padding = "symmetric",
    bias: bool = False,
) -> nn.Conv2d:
    """A convolution, padded so that its output size is ``ceil(input size / stride)``.

    Its weights start from a normal distribution with standard deviation ``sqrt(2 / fan_out)``, where
    ``fan_out`` is ``kernel * kernel * out_channels / groups`` as in the TensorFlow original: 0.471 for
    a depthwise 3x3. A bias starts at zero.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Height and width of the kernel, odd.
        stride: Step in both directions.
        groups: Groups of channels; ``in_channels`` makes it depthwise.
        padding: ``"symmetric"`` puts ``kernel // 2`` zeros on each side, as PyTorch does; ``"same"`` is
            TensorFlow's, which at stride 2 puts the odd zero at the bottom and the right.
        bias: Whether to add a bias.
    """
    fan_out = kernel * kernel * out_channels // groups
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride,
        pad_mode="same" if padding == "same" else "pad",
        padding=0 if padding == "same" else kernel // 2,
        group=groups,
        has_bias=bias,
        weight_init=Normal(sigma=math.sqrt(2 / fan_out)),
        bias_init="zeros",
    )


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    padding: Padding,
    eps: float,
    momentum: float,
) -> list[nn.Cell]:
    """A convolution without bias and the batch normalisation that follows it.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Height and width of the kernel.
        stride: Step in both directions.
        groups: Groups of channels.
        padding: See `conv2d`.
        eps: What is added to the variance.
        momentum: Weight of the old statistic in the running one, MindSpore's sense: 0.99 here is 0.01
            in PyTorch.
    """
    return [
        conv2d(in_channels, out_channels, kernel, stride, groups=groups, padding=padding),
        nn.BatchNorm2d(out_channels, eps=eps, momentum=momentum),
    ]


class SqueezeExcite(nn.Cell):
    """Channel attention: each channel is scaled by a gate in (0, 1) computed from all channels' means.

    Hu et al. 2018 (arXiv 1709.01507), with the 1x1 convolutions and the ReLU of MnasNet-A1.

    Args:
        channels: Channels of the input and the output.
        reduced: Channels in between.

    Inputs:
        Tensor of shape (N, channels, H, W).

    Outputs:
        Tensor of the same shape.
    """

    def __init__(self, channels: int, reduced: int):
        super().__init__()
        self.reduce = conv2d(channels, reduced, bias=True)
        self.relu = nn.ReLU()
        self.expand = conv2d(reduced, channels, bias=True)
        self.sigmoid = nn.Sigmoid()

    def construct(self, x: Tensor) -> Tensor:
        """Scale the channels of ``x``."""
        means = ops.mean(x, axis=(2, 3), keep_dims=True)
        return x * self.sigmoid(self.expand(self.relu(self.reduce(means))))


class DropPath(nn.Cell):
    """Stochastic depth: in training, a sample's whole branch is zero with probability ``rate``.

    What remains is divided by ``1 - rate``, which keeps the expectation. Evaluation changes nothing.
    Huang et al. 2016 (arXiv 1603.09382).

    Args:
        rate: Probability of dropping, in [0, 1).

    Inputs:
        Tensor of shape (N, C, H, W).

    Outputs:
        Tensor of the same shape.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate
        self.dropout = nn.Dropout(p=rate)

    def construct(self, x: Tensor) -> Tensor:
        """Drop or scale each sample of ``x``."""
        if self.rate == 0 or not self.training:
            return x
        return x * self.dropout(ops.ones((x.shape[0], 1, 1, 1), x.dtype))


class Block(nn.Cell):
    """Layers in a row and, where their shapes allow, a skip around them.

    Args:
        layers: The layers.
        skip: Whether to add the input to the output.
        drop_path_rate: Probability of leaving out the layers of a sample in training; needs the skip.

    Inputs:
        Tensor of shape (N, C, H, W).

    Outputs:
        Tensor of the shape that the layers make.
    """

    def __init__(self, layers: list[nn.Cell], *, skip: bool, drop_path_rate: float):
        super().__init__()
        self.layers = nn.SequentialCell(layers)
        self.skip = skip
        self.drop_path = DropPath(drop_path_rate)

    def construct(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        out = self.layers(x)
        if self.skip:
            out = self.drop_path(out) + x
        return out
