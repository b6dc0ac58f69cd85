"""Networks for the tests of what exports them."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from mindcv import create_model
from mindcv.export import ImageFormat

__all__ = [
    "CLASSES",
    "MEAN",
    "SIZE",
    "STD",
    "assert_same_logits",
    "image_format",
    "network_logits",
    "normalized",
    "pixels",
    "random_network",
]

CLASSES, SIZE = 7, 64
MEAN, STD = [120.0, 110.0, 100.0], [60.0, 55.0, 50.0]


def random_network(name: str = "mnasnet_small", *, classes: int = CLASSES, **options) -> nn.Cell:
    """A network whose batch normalisation has random statistics, scales and shifts."""
    ms.set_seed(3)
    network = create_model(name, classes, **options)
    rng = np.random.default_rng(3)
    for parameter in network.get_parameters():
        kind = parameter.name.rpartition(".")[2]
        if kind in ("gamma", "moving_variance"):
            parameter.set_data(Tensor(rng.uniform(0.5, 1.5, parameter.shape).astype(np.float32)))
        elif kind in ("beta", "moving_mean", "bias"):
            parameter.set_data(Tensor(rng.normal(0, 0.3, parameter.shape).astype(np.float32)))
    return network.set_train(False)


def image_format(channels: int = 3, size: int = SIZE, *, uint8_input: bool = False) -> ImageFormat:
    return ImageFormat(
        channels=channels, size=size, mean=MEAN[:channels], std=STD[:channels], uint8_input=uint8_input
    )


def pixels(batch: int, channels: int = 3, size: int = SIZE, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (batch, channels, size, size)).astype(np.uint8)


def normalized(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    mean, std = (np.reshape(v[: images.shape[1]], (-1, 1, 1)) for v in (MEAN, STD))
    return ((images - mean) / std).astype(np.float32)


def network_logits(network: nn.Cell, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return network(Tensor(normalized(images))).asnumpy()


def assert_same_logits(found: NDArray, expected: NDArray) -> None:
    """Within 1e-4 of the larger of 1 and the largest logit."""
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))
