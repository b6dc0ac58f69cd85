"""What an export needs: the network, its images, and what its file says about itself."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mindspore import nn

from mindcv.build.pipelines import (
    build_some_images,
    build_validation_data,
    channel_scale,
    evaluation_batches,
    evaluation_size,
)
from mindcv.build.network import build_network
from mindcv.build.stored_config import NETWORK_OPTIONS
from mindcv.config import Config
from mindcv.data import Pipeline, describe_evaluation
from mindcv.errors import UserError
from mindcv.export import ImageFormat
from mindcv.runtime.session import Runtime
from mindcv.version import __version__
from mindcv.config import PrecisionConfig

__all__ = [
    "build_exported_network",
    "build_image_format",
    "build_quantization_images",
    "build_sample_images",
    "export_metadata",
]

SAMPLES = 8  # images of the user's that an exported file is checked on


def build_exported_network(config: Config, classes: Sequence[str], runtime: Runtime) -> nn.Cell:
    """The bare network with the weights of `ckpt_path`, in float32 whatever it trains and validates in.

    Raises:
        UserError: If there is no file, its number of classes is not known, or several processes run.
    """
    if not config.model.ckpt_path:
        raise UserError("ckpt_path is not set, and fresh weights need no export: give --ckpt_path FILE")
    if config.model.num_classes is None and not classes:
        raise UserError(
            f"{config.model.ckpt_path}: keeps no names of classes: give their number, --num_classes"
        )
    if runtime.world_size > 1:
        raise UserError(f"{runtime.world_size} processes would write one file: start one")
    return build_network(replace(config, precision=PrecisionConfig()), classes, runtime)


def build_image_format(config: Config, *, uint8_input: bool) -> ImageFormat:
    """The images that the network takes, and those that its exported file takes."""
    mean, std = channel_scale(config)
    return ImageFormat(
        channels=config.model.in_channels,
        size=evaluation_size(config),
        mean=mean,
        std=std,
        uint8_input=uint8_input,
    )


def export_metadata(config: Config, classes: Sequence[str], images: ImageFormat) -> dict[str, Any]:
    """All that a program elsewhere must know to use the network, as JSON can express it.

    Of the options those are kept that belong to the network: nothing of the machine it was trained on.
    """
    augment, options = config.augment, config.options()
    return {
        "model": config.model.model,
        "version": __version__,
        "config": {name: options[name] for names in NETWORK_OPTIONS.values() for name in names},
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
            config.data.dataset, images.size, augment.interpolation, augment.crop_pct
        ),
    }


def build_sample_images(config: Config) -> np.ndarray | None:
    """A batch of the user's validation images, if there is a folder of them."""
    if config.data.data_dir is None:
        return None
    samples = build_some_images(config, config.data.val_split, SAMPLES)
    return np.concatenate([images.copy() for images, _ in evaluation_batches(samples)])


def build_quantization_images(
    config: Config, classes: Sequence[str], runtime: Runtime, count: int
) -> tuple[Iterator[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]:
    """Images to calibrate on and images to score on.

    Args:
        config: The options.
        classes: Names of the network's classes, as far as they are known.
        runtime: This process.
        count: Number of images to calibrate on, from all over the training split.

    Returns:
        Batches of training images, and batches of validation images with their labels, each image once. All
        are what an evaluation sees.

    Raises:
        UserError: If the validation images' classes are not the network's, in the same order.
    """
    calibration = build_some_images(config, config.data.train_split, count)
    scored = build_validation_data(config, runtime)
    _check_classes(scored, classes, config.model.ckpt_path)
    return (images for images, _ in evaluation_batches(calibration)), evaluation_batches(scored)


def _check_classes(data: Pipeline, classes: Sequence[str], path: str) -> None:
    found = list(data.source.classes)
    if not classes or found == list(classes):
        return
    different = [pair for pair in zip(found, classes, strict=False) if pair[0] != pair[1]]
    difference = "the class '{}' where the network has '{}'".format(*different[0]) if different else "others"
    raise UserError(
        f"{data.source.origin}: has {len(found)} classes and {path} {len(classes)}, {difference}: give a "
        "data_dir of the same classes"
    )
