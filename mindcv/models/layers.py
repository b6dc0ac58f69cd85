"""Layers shared by the network families."""

import math

import numpy as np
from mindspore import Tensor, communication, nn, ops
from mindspore.common.initializer import Normal

from mindcv.choices import Padding
from mindcv.models.dropout import DropPath
from mindcv.structure import Composition

__all__ = [
    "Block",
    "GlobalMean",
    "Padding",
    "SqueezeExcite",
    "SyncBatchNorm2d",
    "conv2d",
    "conv_norm",
    "make_divisible",
]


def make_divisible(value: float, divisor: int = 8) -> int:
    """Round a number of channels to a multiple of ``divisor``, down by at most a tenth.

    The rule of the TensorFlow original (tensorflow/tpu, ``round_filters``).

    Args:
        value: Number of channels before rounding, a product with the width.
        divisor: The result is a multiple of it, and at least as large.
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
    """Return a convolution, padded so that its output size is ``ceil(input size / stride)``.

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
    sync: bool = False,
) -> list[nn.Cell]:
    """Return a convolution without bias and the batch normalisation that follows it.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Height and width of the kernel.
        stride: Step in both directions.
        groups: Groups of channels.
        padding: See `conv2d`.
        eps: Added to the variance.
        momentum: Weight of the old statistic in the running one, MindSpore's sense: 0.99 here is 0.01
            in PyTorch.
        sync: Whether to normalise over the batches of all processes.
    """
    norm = SyncBatchNorm2d if sync else nn.BatchNorm2d
    return [
        conv2d(in_channels, out_channels, kernel, stride, groups=groups, padding=padding),
        norm(out_channels, eps=eps, momentum=momentum),
    ]


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes, as if they were one batch.

    MindSpore's own is for Ascend only; this one needs no more than an AllReduce, forward and backward. Each
    process contributes the mean and the variance of its batch, and the variances are combined around the
    common mean (Chan et al. 1983), which loses no digits to cancellation. All batches must have the same
    size. Parameters and evaluation are those of `nn.BatchNorm2d`, and so is ``use_batch_statistics``: with
    False, training uses the running statistics.

    Inputs:
        Tensor of shape (N, C, H, W), float32.

    Outputs:
        Tensor of the same shape.
    """

    def __init__(self, num_features: int, *, eps: float, momentum: float):
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.processes = communication.get_group_size()
        rank = np.arange(self.processes) == communication.get_rank()
        self.own_row = Tensor(rank[:, None].astype(np.float32))
        self.all_reduce = ops.AllReduce()
        self.new_weight = 1 - momentum

    def construct(self, x: Tensor) -> Tensor:
        """Normalise ``x``."""
        if not self.training or self.use_batch_statistics is False:
            return super().construct(x)
        mean = ops.mean(x, (0, 2, 3))
        variance = ops.mean(ops.square(x - mean.reshape((1, -1, 1, 1))), (0, 2, 3))
        # An AllReduce of a table in which each process fills its own row is a gather that has a gradient.
        table = self.all_reduce(self.own_row * ops.concat((mean, variance)).expand_dims(0))
        means, variances = ops.split(table, self.num_features, 1)
        mean = ops.mean(means, 0)
        variance = ops.mean(variances + ops.square(means - mean), 0)
        self._remember(mean, variance, x.size // self.num_features * self.processes)
        scale = (self.gamma * ops.rsqrt(variance + self.eps)).reshape((1, -1, 1, 1))
        return (x - mean.reshape((1, -1, 1, 1))) * scale + self.beta.reshape((1, -1, 1, 1))

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics with this batch's mean and unbiased variance."""
        unbiased = variance * (count / max(count - 1, 1))
        for running, new in ((self.moving_mean, mean), (self.moving_variance, unbiased)):
            ops.assign(running, running + self.new_weight * (ops.stop_gradient(new) - running))


class SqueezeExcite(nn.Cell):
    """Channel attention: each channel is scaled by a gate in (0, 1) computed from all channels' means.

    Hu et al. 2018 (arXiv 1709.01507), with 1x1 convolutions and a ReLU as in MnasNet-A1.

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

    def composition(self) -> Composition:
        """Return the steps that make the gates."""
        steps = ("mean", self.reduce, self.relu, self.expand, self.sigmoid)
        return Composition(steps=steps, combine="multiply")


class Block(nn.Cell):
    """Layers one after the other, with or without a skip connection around them.

    Args:
        layers: The layers.
        skip: Whether to add the input to the output.
        drop_path: Stochastic depth; it acts where there is a skip.

    Inputs:
        Tensor of shape (N, C, H, W).

    Outputs:
        Tensor of the shape that the layers return.
    """

    def __init__(self, layers: list[nn.Cell], *, skip: bool, drop_path: DropPath):
        super().__init__()
        self.layers = nn.SequentialCell(layers)
        self.skip = skip
        self.drop_path = drop_path

    def construct(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        out = self.layers(x)
        if self.skip:
            out = self.drop_path(out) + x
        return out

    def composition(self) -> Composition:
        """Return the layers."""
        return Composition(steps=(self.layers,), combine="add" if self.skip else None)


class GlobalMean(nn.Cell):
    """The mean over all positions of each channel.

    Inputs:
        Tensor of shape (N, C, H, W).

    Outputs:
        Tensor of shape (N, C).
    """

    def construct(self, x: Tensor) -> Tensor:
        """Average ``x`` over its positions."""
        return ops.mean(x, axis=(2, 3))

    def composition(self) -> Composition:
        """Return the two steps."""
        return Composition(steps=("mean", "flatten"))
