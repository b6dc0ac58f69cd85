"""What is timed: the training step of the ImageNet recipes and the network alone, on synthetic images."""

from typing import Any

import numpy as np
from mindspore import Tensor

from mindcv.build.network import build_forward, build_network, normalized
from mindcv.build.optimization import build_optimizer
from mindcv.build.train_step import build_train_step
from mindcv.config import Config
from mindcv.step import Normalized, TrainStep
from mindcv.models import summarize
from mindcv.runtime.session import Runtime

__all__ = [
    "benchmark_config",
    "build_evaluated_network",
    "build_synthetic_batch",
    "build_timed_step",
    "count_costs",
]

# What of the recipes a step's time depends on.
RECIPE = {
    "num_classes": 1000,
    "opt": "rmsprop",
    "eps": 1e-3,
    "weight_decay": 1e-5,
    "weight_decay_filter": "norm_and_bias",
    "label_smoothing": 0.1,
    "loss_scale": 256.0,
}


def benchmark_config(**options: Any) -> Config:
    """The options of an ImageNet recipe, with these ones changed.

    Raises:
        ConfigError: If a value is out of range.
    """
    return Config.from_options({**RECIPE, **options})


def build_synthetic_batch(config: Config) -> tuple[Tensor, Tensor]:
    """Random images, uint8 of shape [N, C, H, W], and labels of shape [N]."""
    random = np.random.default_rng(0)
    size, count = config.augment.image_resize, config.data.batch_size
    images = random.integers(0, 256, (count, config.model.in_channels, size, size), dtype=np.uint8)
    labels = random.integers(0, config.model.num_classes or 1, count, dtype=np.int32)
    return Tensor(images), Tensor(labels)


def build_timed_step(config: Config, runtime: Runtime, steps: int) -> TrainStep:
    """The step that train.py takes, for so many steps."""
    network = build_network(config, (), runtime, is_training=True)
    optimizer = build_optimizer(config, network, [config.schedule.lr] * steps)
    forward = build_forward(config, network, ())
    return build_train_step(config, network, forward, optimizer, None, runtime).set_train()


def build_evaluated_network(config: Config, runtime: Runtime) -> Normalized:
    """The network as validate.py runs it."""
    return normalized(config, build_network(config, (), runtime)).set_train(False)


def count_costs(config: Config) -> tuple[int, int]:
    """Parameters that are trained, and multiplications for one image."""
    summary = summarize(build_network(config, (), Runtime(device="CPU")), config.augment.image_resize)
    return summary.parameters, summary.macs
