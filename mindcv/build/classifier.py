"""What classifies single images: a finished network or an exported one, and the images as it expects them."""

from collections.abc import Sequence
from pathlib import Path

from mindcv.build.pipelines import build_evaluation_transforms, channel_scale, count_classes, evaluation_size
from mindcv.build.network import build_network, normalized
from mindcv.config import Config
from mindcv.data import ImageFiles, imagenet_classes, readable_classes
from mindcv.errors import UserError
from mindcv.inference import Classifier, network_logits
from mindcv.files.onnx_network import OnnxNetwork
from mindcv.runtime.session import Runtime

__all__ = ["build_classifier", "build_images"]


def build_classifier(config: Config, classes: Sequence[str], runtime: Runtime) -> Classifier:
    """The network in `ckpt_path`, run by MindSpore, or by ONNX Runtime where that is an ONNX file.

    With `pretrained` it has the published weights instead.

    Args:
        config: Options.
        classes: Class names that the file has kept, as from `load_stored_config`. Where it has kept none, a
            network of 1000 classes is taken to be ImageNet's.
        runtime: This process.
    """
    path = config.model.ckpt_path
    if not path and not config.model.pretrained:
        raise UserError(
            "ckpt_path is not set, and fresh weights know nothing: "
            "give --ckpt_path FILE, or --pretrained true"
        )
    if Path(path).suffix == ".onnx":
        return _exported(config, classes)
    if not count_classes(config, classes):
        if config.data.dataset != "imagenet" and not config.model.pretrained:
            raise UserError(f"{path} does not say how many classes it has: give num_classes")
        classes = list(imagenet_classes())
    network = build_network(config, classes, runtime)
    return Classifier(
        network_logits(normalized(config, network)), _names(classes, count_classes(config, classes))
    )


def _exported(config: Config, classes: Sequence[str]) -> Classifier:
    mean, std = channel_scale(config)
    network = OnnxNetwork(config.model.ckpt_path, mean=mean, std=std)
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
    """Images by the names of files, of folders and by patterns, each as the validation sees it."""
    return ImageFiles(
        names,
        build_evaluation_transforms(config),
        dataset_name=config.data.dataset,
        num_parallel_workers=config.data.num_parallel_workers,
    )
