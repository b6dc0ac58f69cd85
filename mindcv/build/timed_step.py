"""Build what is timed: the train step of the ImageNet recipes and the network alone, on synthetic images."""

import numpy as np
from mindspore import Tensor

from mindcv.build.networks import build_forward, build_network, normalized
from mindcv.build.optimization import build_optimizer
from mindcv.build.training_step import broadcast_initial_values, build_train_step
from mindcv.config import Config
from mindcv.models import summarize
from mindcv.runtime.session import Runtime
from mindcv.step import Normalized, TrainStep

__all__ = [
    "build_evaluated_network",
    "build_synthetic_batch",
    "build_timed_step",
    "count_costs",
]


def build_synthetic_batch(config: Config) -> tuple[Tensor, Tensor]:
    """Return random images, uint8 of shape [N, C, H, W], and labels of shape [N]."""
    random = np.random.default_rng(0)
    size, count = config.image.image_resize, config.data.batch_size
    images = random.integers(0, 256, (count, config.model.in_channels, size, size), dtype=np.uint8)
    labels = random.integers(0, config.model.num_classes or 1, count, dtype=np.int32)
    return Tensor(images), Tensor(labels)


def build_timed_step(config: Config, runtime: Runtime, steps: int) -> TrainStep:
    """Build the train step of train.py, with learning rates for `steps` steps."""
    network = build_network(config, (), runtime, is_training=True)
    optimizer = build_optimizer(config, network, [config.schedule.lr] * steps)
    broadcast_initial_values(network, optimizer, runtime)
    forward = build_forward(config, network, ())
    return build_train_step(config, network, forward, optimizer, None, runtime).set_train()


def build_evaluated_network(config: Config, runtime: Runtime) -> Normalized:
    """Build the network as validate.py runs it."""
    return normalized(config, build_network(config, (), runtime)).set_train(False)


def count_costs(config: Config) -> tuple[int, int]:
    """Return the number of trainable parameters, and the MACs of one image."""
    summary = summarize(build_network(config, (), Runtime(device="CPU")), config.image.image_resize)
    return summary.parameters, summary.macs
