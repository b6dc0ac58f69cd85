"""MnasNet's parts against NumPy: padding, squeeze-excite, skips and stochastic depth."""

import math

import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.models.dropout import DropPath, RandomState
from mindcv.models.layers import Block, SqueezeExcite, conv2d, make_divisible


def images(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape, np.float32))


@pytest.mark.parametrize(
    ("width", "channels"),
    [
        (0.5, [16, 8, 16, 24, 40, 48, 96, 160]),
        (0.75, [24, 16, 24, 32, 64, 72, 144, 240]),
        (1.0, [32, 16, 24, 40, 80, 96, 192, 320]),
        (1.3, [40, 24, 32, 56, 104, 128, 248, 416]),
        (1.4, [48, 24, 32, 56, 112, 136, 272, 448]),
    ],
)
def test_channels_are_rounded_as_published(width, channels):
    assert [make_divisible(c * width) for c in (32, 16, 24, 40, 80, 96, 192, 320)] == channels


def test_rounding_never_loses_more_than_a_tenth():
    assert make_divisible(1) == 8
    assert make_divisible(11.9) == 16  # 8 is nearer but below 0.9 * 11.9
    assert make_divisible(17.7) == 16  # 0.9 * 17.7 is 15.93


def convolve(x: np.ndarray, weight: np.ndarray, stride: int, before: int, after: int) -> np.ndarray:
    """Depthwise convolution with zeros before and after, by definition."""
    x = np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)))
    k = weight.shape[-1]
    size = (x.shape[-1] - k) // stride + 1
    out = np.empty((*x.shape[:2], size, size))
    for i, j in np.ndindex(size, size):
        window = x[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
        out[:, :, i, j] = (window * weight[:, 0]).sum((2, 3))
    return out


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_is_that_of_tensorflow(kernel, size, stride):
    conv = conv2d(2, 2, kernel, stride, groups=2, padding="same")
    x = images(1, 2, size, size)
    # tensorflow.org, "Notes on padding": the smaller half comes first
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    expected = convolve(x.asnumpy(), conv.weight.asnumpy(), stride, total // 2, total - total // 2)
    assert expected.shape[-1] == math.ceil(size / stride)
    np.testing.assert_allclose(conv(x).asnumpy(), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [8, 9])
def test_symmetric_padding_is_half_the_kernel_on_every_side(kernel, size):
    conv = conv2d(2, 2, kernel, 2, groups=2)
    x = images(1, 2, size, size)
    expected = convolve(x.asnumpy(), conv.weight.asnumpy(), 2, kernel // 2, kernel // 2)
    np.testing.assert_allclose(conv(x).asnumpy(), expected, atol=1e-5)


def test_squeeze_excite_scales_channels_by_a_gate_of_their_means():
    layer = SqueezeExcite(8, 2)
    x = images(2, 8, 3, 3).asnumpy()
    w1, w2 = layer.reduce.weight.asnumpy()[:, :, 0, 0], layer.expand.weight.asnumpy()[:, :, 0, 0]
    gate = 1 / (1 + np.exp(-np.maximum(x.mean((2, 3)) @ w1.T, 0) @ w2.T))
    np.testing.assert_allclose(layer(Tensor(x)).asnumpy(), x * gate[:, :, None, None], atol=1e-6)


def test_block_adds_its_input_where_it_has_a_skip():
    x = images(2, 4, 3, 3)
    layers, off = [nn.ReLU()], DropPath(0.0, RandomState(), 0)
    relu = np.maximum(x.asnumpy(), 0)
    np.testing.assert_array_equal(Block(layers, skip=True, drop_path=off)(x).asnumpy(), relu + x.asnumpy())
    np.testing.assert_array_equal(Block(layers, skip=False, drop_path=off)(x).asnumpy(), relu)
