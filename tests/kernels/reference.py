"""Networks in float64 by PyTorch, the truth that kernels are measured against, and networks to measure."""

from collections.abc import Callable, Sequence

import mindspore as ms
import numpy as np
import torch
from mindspore import Tensor, nn, ops
from torch.nn import functional

from mindcv.choices import Padding
from mindcv.kernels import AcceleratedFeatures, takes
from mindcv.models.dropout import DropPath, RandomState
from mindcv.models.layers import Block, SqueezeExcite, conv_norm
from mindcv.models.mobilenetv3 import HardSqueezeExcite

ACTIVATIONS: dict[type, Callable[[torch.Tensor], torch.Tensor]] = {
    nn.ReLU: functional.relu,
    nn.ReLU6: functional.relu6,
    nn.HSwish: functional.hardswish,
    nn.Sigmoid: torch.sigmoid,
    nn.HSigmoid: functional.hardsigmoid,
}


class Layers(nn.Cell):
    """A network of feature layers alone, or of feature layers and the mean over positions."""

    kernels = AcceleratedFeatures(pool=False)
    pooled_kernels = AcceleratedFeatures(pool=True)

    def __init__(self, cells: Sequence[nn.Cell], *, pool: bool = False):
        super().__init__()
        self.features = nn.SequentialCell(list(cells))
        self.pool = pool

    def construct(self, x: Tensor) -> Tensor:
        kernels = self.pooled_kernels if self.pool else self.kernels
        if kernels is not None and takes(x):
            return kernels(x)
        return ops.mean(self.features(x), (2, 3), True) if self.pool else self.features(x)


def layers(
    *,
    channels: int = 3,
    activation: type[nn.Cell] = nn.ReLU,
    gate: type[nn.Cell] = SqueezeExcite,
    padding: Padding = "symmetric",
    pool: bool = False,
    drop: float = 0.0,
    between: int = 12,
    inside: int = 20,
) -> Layers:
    """All kinds of layers, by default with numbers of channels that fill no vector; parameters are random.

    Args:
        channels: Of the images.
        activation: All activations.
        gate: Kind of squeeze-excite.
        padding: That of all convolutions.
        pool: Whether the network ends in the mean over the positions.
        drop: Rate of the drop paths.
        between: Channels between the blocks.
        inside: Channels inside the blocks.
    """

    def conv(entering: int, leaving: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Cell]:
        return conv_norm(
            entering, leaving, kernel, stride, groups=groups, padding=padding, eps=1e-3, momentum=0.9
        )

    def block(kernel: int, stride: int, index: int, gates: Sequence[nn.Cell] = ()) -> Block:
        cells = [*conv(between, inside), activation(), *conv(inside, inside, kernel, stride, inside)]
        path = DropPath(drop, RandomState(seed=0), index)
        cells += [activation(), *gates, *conv(inside, between)]
        return Block(cells, skip=stride == 1, drop_path=path)

    cells = [*conv(channels, 5, 3, 2), activation(), *conv(5, 5, 3, 1, 5), activation(), *conv(5, between)]
    cells += [block(5, 1, 0, [gate(inside, 3)]), block(3, 2, 1), block(3, 1, 2)]
    cells += [block(5, 2, 3, [gate(inside, 3)])]
    return randomize(Layers([*cells, *conv(between, 24), activation()], pool=pool))


def randomize(network: nn.Cell, seed: int = 0) -> nn.Cell:
    """Give a network random parameters, whose normalisations are not the identity."""
    rng = np.random.default_rng(seed)
    for p in network.get_parameters():
        kind = p.name.rpartition(".")[2]
        if kind in ("gamma", "moving_variance"):
            value = rng.uniform(0.5, 1.5, p.shape)
        elif kind in ("beta", "bias", "moving_mean"):
            value = rng.normal(0, 0.3, p.shape)
        else:
            value = rng.normal(0, 1 / np.sqrt(np.prod(p.shape[1:])), p.shape)
        p.set_data(Tensor(value.astype(np.float32)))
    return network


def truth(network: nn.Cell, images: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return features, gradients of ``(features * weights).sum()`` and statistics, by name."""
    tensors = {
        p.name: torch.tensor(p.asnumpy().astype(np.float64), requires_grad=p.requires_grad)
        for p in network.get_parameters()
    }
    x = torch.tensor(images.astype(np.float64), requires_grad=True)
    features = _Truth(tensors).apply(network.features, x)
    if network.pool:
        features = features.mean((2, 3), keepdim=True)
    (features * torch.tensor(weights.astype(np.float64))).sum().backward()
    found = {"features": features.detach().numpy(), "images": x.grad.numpy()}
    return found | {n: t.numpy() if t.grad is None else t.grad.numpy() for n, t in tensors.items()}


class _Truth:
    def __init__(self, tensors: dict[str, torch.Tensor]):
        self.tensors = tensors

    def of(self, parameter: ms.Parameter | None) -> torch.Tensor | None:
        return None if parameter is None else self.tensors[parameter.name]

    def apply(self, cell: nn.Cell, x: torch.Tensor) -> torch.Tensor:
        if isinstance(cell, nn.SequentialCell):
            return self.apply_all(cell.cells(), x)
        if isinstance(cell, Block):
            out = self.apply(cell.layers, x)
            return out + x if cell.skip else out
        if isinstance(cell, SqueezeExcite | HardSqueezeExcite):
            return x * self.apply_all(cell.cells(), x.mean((2, 3), keepdim=True))
        if isinstance(cell, nn.Conv2d):
            return self.convolve(cell, x)
        if isinstance(cell, nn.BatchNorm2d):
            return self.normalize(cell, x)
        return ACTIVATIONS[type(cell)](x)

    def apply_all(self, cells: Sequence[nn.Cell], x: torch.Tensor) -> torch.Tensor:
        for cell in cells:
            x = self.apply(cell, x)
        return x

    def convolve(self, cell: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        kernel, stride = cell.kernel_size[0], cell.stride[0]
        sides = []
        for size in (x.shape[3], x.shape[2]):
            if cell.pad_mode == "same":
                total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
                sides += [total // 2, total - total // 2]
            else:
                sides += [kernel // 2, kernel // 2]
        bias = self.of(cell.bias) if cell.has_bias else None
        return functional.conv2d(
            functional.pad(x, sides), self.of(cell.weight), bias, stride, groups=cell.group
        )

    def normalize(self, cell: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
        batch = cell.training if cell.use_batch_statistics is None else cell.use_batch_statistics
        mean, variance = self.of(cell.moving_mean), self.of(cell.moving_variance)
        momentum = cell.momentum if batch else 0.0
        return functional.batch_norm(
            x, mean, variance, self.of(cell.gamma), self.of(cell.beta), batch, momentum, cell.eps
        )


def computed(network: nn.Cell, images: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the values of `truth`, by MindSpore."""
    factors = Tensor(weights)

    def loss(x: Tensor) -> tuple[Tensor, Tensor]:
        features = network(x)
        return (features * factors).sum(), features

    parameters = network.trainable_params()
    both = ops.value_and_grad(loss, 0, parameters, has_aux=True)
    (_, features), (d_images, gradients) = both(Tensor(images))
    found = {"features": features.asnumpy(), "images": d_images.asnumpy()}
    found |= {p.name: p.asnumpy() for p in network.get_parameters()}
    return found | {p.name: g.asnumpy() for p, g in zip(parameters, gradients, strict=True)}


def errors(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, float]:
    """The largest error of features, images, gradients and statistics, each of its tensor's size.

    A tensor's size is its largest value, but at least a hundredth of the largest of its kind: some gradients
    are exactly zero, and rounding is all that is left of them.
    """
    kinds: dict[str, list[str]] = {}
    for name in expected:
        last = name.rpartition(".")[2]
        kinds.setdefault("statistics" if last.startswith("moving_") else last, []).append(name)
    worst = {}
    for kind, names in kinds.items():
        largest = max(np.abs(expected[name]).max() for name in names)
        worst[kind] = max(
            float(
                np.abs(found[name] - expected[name]).max() / max(np.abs(expected[name]).max(), largest / 100)
            )
            for name in names
        )
    return worst


def random_batch(network: nn.Cell, shape: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Images, and weights for the features."""
    rng = np.random.default_rng(1)
    side = (1, 1) if network.pool else tuple(-(-size // 8) for size in shape[2:])
    return rng.standard_normal(shape, np.float32), rng.standard_normal((shape[0], 24, *side), np.float32)
