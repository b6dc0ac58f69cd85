"""Build what an export needs: the network, its images, and the metadata of its file."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mindspore import nn

from mindcv.build.class_names import match_labels, relabelled, scored_classes
from mindcv.build.networks import build_network
from mindcv.build.pipelines import (
    build_some_images,
    build_validation_data,
    channel_scale,
    evaluation_batches,
    evaluation_size,
)
from mindcv.config import Config, options_in_scope
from mindcv.config.sections.system import PrecisionConfig
from mindcv.data import describe_evaluation
from mindcv.errors import UserError
from mindcv.export import ImageFormat
from mindcv.runtime.session import Runtime
from mindcv.version import __version__

__all__ = [
    "build_exported_network",
    "build_image_format",
    "build_quantization_images",
    "build_sample_images",
    "export_metadata",
]

SAMPLES = 8  # images of the user's that an exported file is checked on


def build_exported_network(config: Config, classes: Sequence[str], runtime: Runtime) -> nn.Cell:
    """Build the unwrapped network with the weights of `ckpt_path`, always in float32.

    Raises:
        UserError: If there is no file, its number of classes is unknown, or several processes run.
    """
    if not config.model.checkpoint_path:
        raise UserError("ckpt_path is not set, and random weights need no export: give --ckpt_path FILE")
    if config.model.num_classes is None and not classes:
        raise UserError(
            f"{config.model.checkpoint_path}: stores no class names: give their number, --num_classes"
        )
    if runtime.world_size > 1:
        raise UserError(f"{runtime.world_size} processes would write one file: start one")
    return build_network(replace(config, precision=PrecisionConfig()), classes, runtime)


def build_image_format(config: Config, *, uint8_input: bool) -> ImageFormat:
    """Return the images that the network expects, and those that its exported file expects."""
    mean, std = channel_scale(config)
    return ImageFormat(
        channels=config.model.in_channels,
        size=evaluation_size(config),
        mean=mean,
        std=std,
        uint8_input=uint8_input,
    )


def export_metadata(config: Config, classes: Sequence[str], images: ImageFormat) -> dict[str, Any]:
    """Return all that another program needs to use the network, as values of JSON.

    Only the options that belong to the network are stored: nothing of the machine it was trained on.
    """
    augment, options = config.augment, config.options()
    return {
        "model": config.model.model_name,
        "version": __version__,
        "config": {name: value for name, value in options.items() if name in options_in_scope("network")},
        "classes": list(classes),
        "mean": list(images.mean),
        "std": list(images.std),
        "input": {
            "type": "uint8" if images.uint8_input else "float32",
            "layout": "NCHW",
            "channels": "RGB" if images.channels == 3 else "grey",
            "values": "0 to 255" if images.uint8_input else "(0 to 255 - mean) / std",
        },
        "preprocessing": describe_evaluation(
            config.dataset.name, images.size, augment.interpolation, augment.crop_pct
        ),
    }


def build_sample_images(config: Config) -> np.ndarray | None:
    """Return a batch of the user's validation images, or None without data_dir."""
    if config.dataset.root is None:
        return None
    samples = build_some_images(config, config.dataset.val_split, SAMPLES)
    return np.concatenate([images.copy() for images, _ in evaluation_batches(samples)])


def build_quantization_images(
    config: Config, classes: Sequence[str], runtime: Runtime, count: int
) -> tuple[Iterator[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]:
    """Build the images to calibrate on and those to score on.

    Args:
        config: The options.
        classes: Class names of the network, if known.
        runtime: This process.
        count: Number of images to calibrate on, from all over the training split.

    Returns:
        Batches of training images, and batches of validation images with their labels, each image once; all
        as an evaluation sees them.

    Raises:
        UserError: If the network does not know a class of the validation images.
    """
    calibration = build_some_images(config, config.dataset.train_split, count)
    scored = build_validation_data(config, runtime, named=bool(classes))
    known = scored_classes(config, classes, scored.source)
    labels = match_labels(scored.source, known, config.model.checkpoint_path)
    images = (images for images, _ in evaluation_batches(calibration))
    return images, relabelled(evaluation_batches(scored), labels)
