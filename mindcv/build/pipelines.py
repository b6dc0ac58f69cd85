"""Build the images of a run: pipelines and transforms."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mindcv.build.agreement import compare_images
from mindcv.build.class_names import check_teacher_classes
from mindcv.config import OPTIONS, Config
from mindcv.data import (
    OnnxTeacher,
    Pipeline,
    PreparedImages,
    Source,
    channel_statistics,
    create_source,
    create_transforms,
    find_dataset,
    progressive_stages,
)
from mindcv.models.registry import find_model
from mindcv.runtime.machine import usable_cores
from mindcv.runtime.session import Runtime

__all__ = [
    "build_evaluation_transforms",
    "build_some_images",
    "build_training_data",
    "build_validation_data",
    "channel_scale",
    "color_jitter",
    "count_classes",
    "evaluation_batches",
    "evaluation_size",
    "worker_threads",
]

logger = logging.getLogger("mindcv.build")

COLOR_JITTER = 0.4  # MindCV's default for photos; its small images have none

# An evaluation scores every image of its split once, whatever the options say about the training.
ALL_IMAGES = {"shuffle": False, "num_samples": None, "drop_remainder": False}


def build_training_data(config: Config, runtime: Runtime) -> Pipeline:
    """Return the training images, augmented, as batches of this rank."""
    find_model(config.model.model_name)  # a wrong name is reported before the dataset is read
    source = _shared_source(config, config.dataset.train_split, runtime)
    if runtime.is_main and count_classes(config, source.classes) > len(source.classes):
        logger.warning(
            "num_classes=%d, and %s has %d classes: the other outputs have no images",
            config.model.num_classes,
            source.origin,
            len(source.classes),
        )
    (_, transform), *later = _stages(config)
    mix = {**vars(config.mix), "aug_repeats": config.mix.aug_repeats or 1}
    return Pipeline(
        source=source,
        transform=transform,
        later_transforms=later,
        is_training=True,
        seed=config.system.seed,
        rank=runtime.rank,
        world_size=runtime.world_size,
        num_classes=config.model.num_classes,
        accumulation=config.gradient.gradient_accumulation_steps,
        teacher=_onnx_teacher(config, source.classes),
        prepared=_prepared(config, source),
        **_loading(config),
        **mix,
    )


def build_validation_data(config: Config, runtime: Runtime, *, named: bool = False) -> Pipeline:
    """Return the validation images as batches of this rank; over all ranks each image occurs once.

    Args:
        config: Options.
        runtime: This process.
        named: Whether the network's classes are known by name, so that `match_labels` checks the labels.
    """
    source = _shared_source(config, config.dataset.val_split, runtime)
    return Pipeline(
        source=source,
        transform=build_evaluation_transforms(config),
        prepared=_prepared(config, source),
        rank=runtime.rank,
        world_size=runtime.world_size,
        num_classes=None if named else config.model.num_classes,
        **{**_loading(config), **ALL_IMAGES},
    )


def build_evaluation_transforms(config: Config) -> Sequence[Any]:
    """Return the operators that turn an image into the network's input, without randomness."""
    return _transforms(config, evaluation_size(config), is_training=False)


def build_some_images(config: Config, split: str, count: int) -> Pipeline:
    """Return `count` images of a split as an evaluation sees them, spread over it; fewer if it has fewer."""
    source = _source(config, split)
    step = max(1, len(source) // count)
    few = {"batch_size": min(count, config.data.batch_size), "num_samples": step * count}
    return Pipeline(
        source=source,
        transform=build_evaluation_transforms(config),
        world_size=step,  # every step-th image: those of a folder are in the order of its classes
        **{**_loading(config), **ALL_IMAGES, "on_bad_image": "fail", **few},
    )


def evaluation_batches(data: Pipeline) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the images of an evaluation and their labels; an error names the image that cannot be read."""
    try:
        yield from data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True)
    except RuntimeError as error:
        raise data.explain(error) from error


def evaluation_size(config: Config) -> int:
    """Return height and width of the images of an evaluation, in pixels."""
    return config.image.val_image_resize or config.image.image_resize


def worker_threads(config: Config) -> int:
    """Return the number of threads that decode and augment, the default without a message if reduced."""
    threads = config.data.num_parallel_workers
    return min(threads, usable_cores()) if threads == OPTIONS["num_parallel_workers"].default else threads


def _loading(config: Config) -> dict[str, Any]:
    return {**vars(config.data), "num_parallel_workers": worker_threads(config)}


def _shared_source(config: Config, split: str, runtime: Runtime) -> Source:
    """The samples of a split, which are the same on all ranks."""
    source = _source(config, split)
    compare_images(source, split, runtime)
    return source


def _source(config: Config, split: str) -> Source:
    data = config.dataset
    return create_source(
        data.name,
        data.root,
        split,
        splits=(data.train_split, data.val_split),
        max_image_pixels=data.max_image_pixels,
    )


def _prepared(config: Config, source: Source) -> PreparedImages | None:
    """Tiny images take less memory than decoding and resizing them in each epoch takes time."""
    small = find_dataset(config.dataset.name).small
    return PreparedImages(source) if small and config.data.on_bad_image == "fail" else None


def _stages(config: Config) -> list[tuple[int, Sequence[Any]]]:
    """The operators on the training images, each with the epoch from which they are used."""
    image = config.image
    sizes, epochs = image.progressive_sizes, image.progressive_epochs
    stages = progressive_stages(sizes, epochs) if sizes else [(0, image.image_resize)]
    return [(epoch, _transforms(config, size, is_training=True)) for epoch, size in stages]


def _transforms(config: Config, image_resize: int, *, is_training: bool) -> Sequence[Any]:
    return create_transforms(
        config.dataset.name,
        image_resize=image_resize,
        is_training=is_training,
        in_channels=config.model.in_channels,
        mean=config.image.mean,
        std=config.image.std,
        normalize=False,  # the device does
        **vars(config.augment),
        **{**vars(config.policy), "color_jitter": color_jitter(config)},
    )


def color_jitter(config: Config) -> float | tuple[float, ...] | None:
    """Return the strength of the color jitter; None is none."""
    if config.policy.color_jitter != "auto":
        return config.policy.color_jitter
    return None if find_dataset(config.dataset.name).small else COLOR_JITTER


def count_classes(config: Config, classes: Sequence[str]) -> int:
    """Return the number of logits of the network."""
    return config.model.num_classes or len(classes)


def channel_scale(config: Config) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and standard deviation of each channel, on the scale 0 to 255."""
    mean, std = channel_statistics(config.dataset.name, config.model.in_channels)
    return config.image.mean or mean, config.image.std or std


def _onnx_teacher(config: Config, classes: Sequence[str]) -> OnnxTeacher | None:
    if not config.teacher.is_onnx:
        return None
    check_teacher_classes(config, classes)
    mean, std = channel_scale(config)
    teacher = OnnxTeacher(
        config.teacher.model_name, mean=mean, std=std, num_classes=count_classes(config, classes)
    )
    for size in config.image.progressive_sizes or [config.image.image_resize]:
        teacher.check(
            batch_size=config.data.batch_size, image_resize=size, in_channels=config.model.in_channels
        )
    return teacher
