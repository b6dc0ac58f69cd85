"""The images of a run."""

from config import Config
from mindcv.data import Pipeline, create_source, create_transforms
from mindcv.runtime.session import Runtime

__all__ = ["build_training_data", "build_validation_data"]


def build_training_data(config: Config, runtime: Runtime) -> Pipeline:
    """The training images, augmented, as batches of this rank."""
    return _pipeline(config, runtime, config.data.train_split, is_training=True)


def build_validation_data(config: Config, runtime: Runtime) -> Pipeline:
    """The validation images as batches of this rank; over all ranks each image comes once."""
    return _pipeline(config, runtime, config.data.val_split, is_training=False)


def _pipeline(config: Config, runtime: Runtime, split: str, *, is_training: bool) -> Pipeline:
    data, augment = config.data, config.augment
    source = create_source(data.dataset, data.data_dir, split, splits=(data.train_split, data.val_split))
    transform = create_transforms(
        data.dataset,
        image_resize=augment.image_resize,
        is_training=is_training,
        scale=augment.scale,
        ratio=augment.ratio,
        hflip=augment.hflip,
        vflip=augment.vflip,
        interpolation=augment.interpolation,
        crop_pct=augment.crop_pct,
        crop_padding=augment.crop_padding,
        in_channels=config.model.in_channels,
    )
    return Pipeline(
        source=source,
        transform=transform,
        batch_size=data.batch_size,
        is_training=is_training,
        drop_remainder=is_training and data.drop_remainder,
        shuffle=data.shuffle,
        seed=config.system.seed,
        rank=runtime.rank,
        size=runtime.size,
        num_parallel_workers=data.num_parallel_workers,
        num_samples=data.num_samples if is_training else None,
        num_classes=config.model.num_classes,
    )
