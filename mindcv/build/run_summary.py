"""The lines that a run begins with: device, network, images and options."""

import platform
from importlib.metadata import version

import mindspore as ms
from mindspore import nn

from mindcv.build.pipelines import evaluation_size
from mindcv.config import OPTIONS, Config
from mindcv.data import Pipeline
from mindcv.errors import UserError
from mindcv.models.network_summary import summarize
from mindcv.runtime.session import Runtime

__all__ = ["describe_run"]

# Each has a line of its own, or says nothing about the training.
SHOWN_ELSEWHERE = {"model", "data_dir", "dataset", "ckpt_save_dir", "device_target", "mode", "resume"}


def describe_run(
    config: Config, network: nn.Cell, data: Pipeline, runtime: Runtime, resumed_from: str = ""
) -> list[str]:
    """Return lines about the device, the network and its weights, the images, and the options that were set.

    Args:
        config: Options.
        network: The unwrapped network.
        data: The training images.
        runtime: This process.
        resumed_from: The checkpoint that the run continues; empty for a new run.
    """
    named = {
        "device": _device(runtime),
        "model": _model(config, network),
        "weights": (resumed_from and f"resumed from {resumed_from}") or _weights(config),
        "data": _data(data, runtime),
        "options": _options(config),
        "output": config.checkpoint.folder,
    }
    return [f"{name:<8} {text}" for name, text in named.items()]


def _device(runtime: Runtime) -> str:
    count = f"{runtime.world_size} x " if runtime.world_size > 1 else ""
    mode = "graph mode" if ms.get_context("mode") == ms.GRAPH_MODE else "PyNative mode"
    versions = f"MindSpore {version('mindspore')}, Python {platform.python_version()}"
    return f"{count}{runtime.device}, {mode}, {versions}"


def _model(config: Config, network: nn.Cell) -> str:
    name, size = config.model.model_name, evaluation_size(config)
    try:
        counted = summarize(network, size)
    except UserError:  # a family of the user's own need not describe its parts
        return f"{name}, {sum(p.size for p in network.trainable_params()):,} trainable parameters"
    return f"{name}, {counted.parameters:,} parameters, {counted.macs / 1e6:.1f} M-MACs at {size} px"


def _weights(config: Config) -> str:
    if config.model.checkpoint_path:
        return config.model.checkpoint_path
    return "published" if config.model.pretrained else f"random, seed {config.system.seed}"


def _data(data: Pipeline, runtime: Runtime) -> str:
    classes, images = len(data.source.classes), data.num_images
    batch = data.batch_size * runtime.world_size * data.accumulation
    update = "update" if data.updates_per_epoch == 1 else "updates"
    return (
        f"{data.source.origin}: {images:,} images of {classes:,} classes, "
        f"{data.updates_per_epoch:,} {update} of {batch:,} images per epoch"
    )


def _options(config: Config) -> str:
    """The options that differ from their defaults."""
    given = {
        name: value
        for name, value in config.options().items()
        if name not in SHOWN_ELSEWHERE and value != _default(name)
    }
    return ", ".join(f"{name} {_shown(value)}" for name, value in given.items()) or "all have their defaults"


def _default(name: str) -> object:
    default = OPTIONS[name].default
    return list(default) if isinstance(default, tuple) else default


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
