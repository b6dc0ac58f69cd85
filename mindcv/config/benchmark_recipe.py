"""Options of the training that is benchmarked, as in the ImageNet recipes."""

from typing import Any

from mindcv.config.schema import Config

__all__ = ["benchmark_config"]

# The options that the time of a step depends on.
RECIPE = {
    "num_classes": 1000,
    "opt": "rmsprop",
    "eps": 1e-3,
    "weight_decay": 1e-5,
    "label_smoothing": 0.1,
    "loss_scale": 256.0,
}


def benchmark_config(**options: Any) -> Config:
    """Return the options of an ImageNet recipe, with these ones changed.

    Args:
        options: Values by flat name.

    Raises:
        ConfigError: If a value is out of range.
    """
    return Config.from_options({**RECIPE, **options})
