"""Build a classifier of single images, from a checkpoint or an exported network, and its images."""

from collections.abc import Sequence
from pathlib import Path

from mindcv.build.networks import build_network, normalized
from mindcv.build.pipelines import (
    build_evaluation_transforms,
    channel_scale,
    count_classes,
    evaluation_size,
    worker_threads,
)
from mindcv.config import Config
from mindcv.data import ImageFiles, imagenet_classes, readable_classes
from mindcv.errors import UserError
from mindcv.files.onnx_network import OnnxNetwork
from mindcv.inference import Classifier, network_logits
from mindcv.runtime.session import Runtime

__all__ = ["build_classifier", "build_images"]


def build_classifier(config: Config, classes: Sequence[str], runtime: Runtime) -> Classifier:
    """Build a classifier from `ckpt_path`, run by MindSpore, or by ONNX Runtime if that is an ONNX file.

    With `pretrained` it has the published weights instead.

    Args:
        config: Options.
        classes: Class names stored in the file, as from `load_stored_config`. Without them, a network of
            1000 classes is assumed to be ImageNet's.
        runtime: This process.
    """
    path = config.model.checkpoint_path
    if not path and not config.model.pretrained:
        raise UserError(
            "ckpt_path is not set, and random weights know nothing: "
            "give --ckpt_path FILE, or --pretrained true"
        )
    if Path(path).suffix == ".onnx":
        return _exported(config, classes)
    if not count_classes(config, classes):
        if config.dataset.name != "imagenet" and not config.model.pretrained:
            raise UserError(f"{path} does not store its number of classes: give num_classes")
        classes = list(imagenet_classes())
    network = build_network(config, classes, runtime)
    return Classifier(
        network_logits(normalized(config, network)), _names(classes, count_classes(config, classes))
    )


def _exported(config: Config, classes: Sequence[str]) -> Classifier:
    mean, std = channel_scale(config)
    network = OnnxNetwork(config.model.checkpoint_path, mean=mean, std=std)
    network.check(
        batch_size=network.batch_size or 1,
        image_resize=evaluation_size(config),
        in_channels=config.model.in_channels,
    )
    return Classifier(network, _names(classes, network.num_classes or 0))


def _names(classes: Sequence[str], count: int) -> list[str]:
    known = imagenet_classes()
    return readable_classes(classes or (list(known) if count == len(known) else []))


def build_images(config: Config, names: Sequence[str]) -> ImageFiles:
    """Return the images of files, folders and patterns, each as the validation sees it."""
    return ImageFiles(
        names,
        build_evaluation_transforms(config),
        dataset_name=config.dataset.name,
        num_parallel_workers=worker_threads(config),
        max_image_pixels=config.dataset.max_image_pixels,
    )
