"""What classifies single images: a finished network or an exported one, and the images as it expects them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from builders.data import build_evaluation_transforms, channel_scale, count_classes
from builders.network import build_network, normalized
from config import Config
from mindcv.data import ImageFile, imagenet_classes, read_images, readable_classes
from mindcv.errors import UserError
from mindcv.inference import Classifier, network_logits
from mindcv.runtime.onnx import OnnxNetwork
from mindcv.runtime.session import Runtime

__all__ = ["build_classifier", "build_images"]

IMAGENET = 1000  # classes


def build_classifier(config: Config, classes: Sequence[str], runtime: Runtime) -> Classifier:
    """The network in `ckpt_path`, run by MindSpore, or by ONNX Runtime where that is an ONNX file.

    Args:
        config: Options.
        classes: Class names that the file has kept, as from `load_stored_config`. Where it has kept none, a
            network of 1000 classes is taken to be ImageNet's.
        runtime: This process.
    """
    path = config.model.ckpt_path
    if not path:
        raise UserError("ckpt_path is not set, and fresh weights know nothing: give --ckpt_path FILE")
    if Path(path).suffix == ".onnx":
        mean, std = channel_scale(config)
        network = OnnxNetwork(path, mean=mean, std=std)
        network.check(
            batch_size=network.batch_size or 1,
            image_resize=config.augment.val_image_resize or config.augment.image_resize,
            in_channels=config.model.in_channels,
        )
        return Classifier(network, _names(classes, network.num_classes or 0))
    count = count_classes(config, classes)
    if not count and config.data.dataset == "imagenet":
        count = IMAGENET
    if not count:
        raise UserError(f"{path} does not say how many classes it has: give num_classes")
    network = build_network(config, classes or [""] * count, runtime)
    return Classifier(network_logits(normalized(config, network)), _names(classes, count))


def _names(classes: Sequence[str], count: int) -> list[str]:
    if not classes and count == IMAGENET:
        return list(imagenet_classes().values())
    return readable_classes(classes)


def build_images(config: Config, paths: Sequence[str]) -> Iterator[ImageFile]:
    """Image files as the validation sees them, one by one."""
    return read_images(
        paths,
        build_evaluation_transforms(config),
        dataset_name=config.data.dataset,
        num_parallel_workers=config.data.num_parallel_workers,
    )
