"""Networks of this package in float64 by PyTorch: the truth that kernels are measured against."""

from collections.abc import Callable

import mindspore as ms
import numpy as np
import torch
from mindspore import Tensor, nn, ops
from torch.nn import functional

from mindcv.models import create_model
from mindcv.models.layers import Block, GlobalMean, SqueezeExcite
from mindcv.models.mobilenetv3 import HardSqueezeExcite

Layer = Callable[[torch.Tensor], torch.Tensor]
ACTIVATIONS = {
    nn.ReLU: functional.relu,
    nn.ReLU6: functional.relu6,
    nn.HSwish: functional.hardswish,
    nn.Sigmoid: torch.sigmoid,
    nn.HSigmoid: functional.hardsigmoid,
}


class Truth:
    """A network in float64 with its gradients and running statistics."""

    def __init__(self, network: nn.Cell):
        self.network = network
        self.tensors = {
            p.name: torch.tensor(p.asnumpy().astype(np.float64), requires_grad=p.requires_grad)
            for p in network.get_parameters()
        }

    def run(self, images: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return logits, gradients of ``(logits * weights).sum()`` and statistics, by name."""
        x = torch.tensor(images.astype(np.float64), requires_grad=True)
        logits = self.apply(self.network.features, x).mean((2, 3))
        parts = self.network.parts()
        cells = [*parts.head, *parts.classifier]
        for cell in cells[cells.index(self.network.pool) + 1 :]:
            logits = self.apply(cell, logits)
        (logits * torch.tensor(weights.astype(np.float64))).sum().backward()
        found = {"logits": logits.detach().numpy(), "images": x.grad.numpy()}
        for name, tensor in self.tensors.items():
            found[name] = tensor.grad.numpy() if tensor.grad is not None else tensor.numpy()
        return found

    def of(self, parameter: ms.Parameter | None) -> torch.Tensor | None:
        return None if parameter is None else self.tensors[parameter.name]

    def apply(self, cell: nn.Cell, x: torch.Tensor) -> torch.Tensor:
        if isinstance(cell, nn.SequentialCell):
            for inner in cell.cells():
                x = self.apply(inner, x)
            return x
        if isinstance(cell, Block):
            out = self.apply(cell.layers, x)
            return out + x if cell.skip else out
        if isinstance(cell, SqueezeExcite):
            gate = (cell.reduce, cell.relu, cell.expand, cell.sigmoid)
            return x * self.apply_all(gate, x.mean((2, 3), keepdim=True))
        if isinstance(cell, HardSqueezeExcite):
            gate = (cell.conv_reduce, cell.act, cell.conv_expand, cell.gate)
            return x * self.apply_all(gate, x.mean((2, 3), keepdim=True))
        if isinstance(cell, nn.Conv2d):
            return self.convolve(cell, x)
        if isinstance(cell, nn.BatchNorm2d):
            return self.normalize(cell, x)
        if isinstance(cell, nn.Dense):
            return functional.linear(x, self.of(cell.weight), self.of(cell.bias))
        if type(cell) in ACTIVATIONS:
            return ACTIVATIONS[type(cell)](x)
        assert isinstance(cell, GlobalMean) or type(cell).__name__ == "Dropout", type(cell)
        return x

    def apply_all(self, cells: tuple[nn.Cell, ...], x: torch.Tensor) -> torch.Tensor:
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


def random_network(name: str, *, seed: int = 0, training: bool = True, **options) -> nn.Cell:
    """A network whose normalisations are not the identity, in training or evaluation."""
    network = create_model(name, num_classes=7, drop_rate=0.0, **options)
    rng = np.random.default_rng(seed)
    for p in network.get_parameters():
        kind = p.name.rpartition(".")[2]
        if kind in ("gamma", "moving_variance"):
            value = rng.uniform(0.5, 1.5, p.shape)
        elif kind in ("beta", "bias", "moving_mean"):
            value = rng.normal(0, 0.3, p.shape)
        else:
            value = rng.normal(0, np.sqrt(2 / np.prod(p.shape[1:])), p.shape)
        p.set_data(Tensor(value.astype(np.float32)))
    return network.set_train(training)


def computed(network: nn.Cell, images: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """What `Truth.run` returns, by MindSpore."""
    factors = Tensor(weights)

    def loss(x: Tensor) -> tuple[Tensor, Tensor]:
        logits = network(x)
        return (logits * factors).sum(), logits

    parameters = network.trainable_params()
    both = ops.value_and_grad(loss, 0, parameters, has_aux=True)
    (_, logits), (d_images, gradients) = both(Tensor(images))
    found = {"logits": logits.asnumpy(), "images": d_images.asnumpy()}
    found |= {p.name: p.asnumpy() for p in network.get_parameters()}
    return found | {p.name: g.asnumpy() for p, g in zip(parameters, gradients, strict=True)}


def error(found: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> dict[str, float]:
    """The largest error of logits, images, gradients and statistics, each of its tensor's size.

    A tensor's size is its largest value, but at least a hundredth of the largest of its kind: some gradients
    are exactly zero, and rounding is all that is left of them.
    """
    kinds: dict[str, list[str]] = {}
    for name in truth:
        last = name.rpartition(".")[2]
        kind = "statistics" if last.startswith("moving_") else name if name in ("logits", "images") else last
        kinds.setdefault(kind, []).append(name)
    worst = {}
    for kind, names in kinds.items():
        largest = max(np.abs(truth[name]).max() for name in names)
        worst[kind] = max(
            float(np.abs(found[name] - truth[name]).max() / max(np.abs(truth[name]).max(), largest / 100))
            for name in names
        )
    return worst


def random_batch(shape: tuple[int, int, int, int], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape, np.float32), rng.standard_normal((shape[0], 7), np.float32)
