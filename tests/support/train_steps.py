"""A small network with its batches and its train step, and its gradients by NumPy."""

import numpy as np
from mindspore import Tensor, nn

from mindcv.step import NetworkWithLoss, TrainStep

FEATURES, CLASSES, BATCH = 4, 3, 6


def dense(seed: int = 0) -> nn.Dense:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((CLASSES, FEATURES), np.float32)
    return nn.Dense(FEATURES, CLASSES, weight_init=Tensor(weight), bias_init="zeros")


def normed(seed: int = 0) -> nn.SequentialCell:
    return nn.SequentialCell(nn.BatchNorm1d(FEATURES, momentum=0.5), dense(seed))


def batches(count: int, seed: int = 1) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((count, BATCH, FEATURES), np.float32)
    return list(zip(images, rng.integers(0, CLASSES, (count, BATCH)).astype(np.int32), strict=True))


def step_of(network: nn.Cell, lr: float | list[float] = 0.5, **options) -> TrainStep:
    optimizer = nn.SGD(network.trainable_params(), lr)
    forward = NetworkWithLoss(network, nn.CrossEntropyLoss())
    return TrainStep(forward, optimizer, **options).set_train()


def run(step: TrainStep, parts: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    return [float(step(Tensor(images), Tensor(labels))) for images, labels in parts]


def gradients(network: nn.Cell, parts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """The mean gradients of a dense layer over some batches."""
    weight, bias = (network.weight.asnumpy().astype(np.float64), network.bias.asnumpy())
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    logits = images @ weight.T + bias
    error = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(CLASSES)[labels]
    return {"weight": error.T @ images / len(images), "bias": error.mean(0)}
