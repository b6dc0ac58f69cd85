"""Datasets, transforms and pipelines."""

from mindcv.data.auto_augment import (
    augment_and_mix_transform,
    auto_augment_transform,
    rand_augment_transform,
    trivial_augment_wide_transform,
)
from mindcv.data.batch_mixing import BatchMixer
from mindcv.data.catalogue import channel_statistics, find_dataset
from mindcv.data.constants import DEFAULT_CROP_PCT, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from mindcv.data.dataset_download import (
    Cifar10Download,
    Cifar100Download,
    MnistDownload,
    get_dataset_download_root,
)
from mindcv.data.dataset_factory import get_dataset_size
from mindcv.data.datasets import create_dataset, create_source
from mindcv.data.epoch_plan import EpochPlan, EpochPlanner
from mindcv.data.evaluation_transforms import describe_evaluation
from mindcv.data.image_files import ImageFile, ImageFiles, list_images
from mindcv.data.imagenet_classes import imagenet_classes, readable_classes
from mindcv.data.loader import create_loader
from mindcv.data.mixup import Mixup
from mindcv.data.onnx_teacher import OnnxTeacher, with_teacher
from mindcv.data.pipeline import Pipeline
from mindcv.data.prepared_images import PreparedImages
from mindcv.data.progressive_resizing import progressive_stages
from mindcv.data.sampling import epoch_indices, epoch_keys, shard_indices
from mindcv.data.seeded_augmentation import Augmentation
from mindcv.data.sources.image_folder import class_index
from mindcv.data.sources.source import Source
from mindcv.data.transforms import create_transforms
from mindcv.data.transforms_factory import (
    transforms_cifar,
    transforms_imagenet_eval,
    transforms_imagenet_train,
    transforms_mnist,
)

__all__ = [
    "DEFAULT_CROP_PCT",
    "IMAGENET_DEFAULT_MEAN",
    "IMAGENET_DEFAULT_STD",
    "Augmentation",
    "BatchMixer",
    "Cifar10Download",
    "Cifar100Download",
    "EpochPlan",
    "EpochPlanner",
    "ImageFile",
    "ImageFiles",
    "Mixup",
    "MnistDownload",
    "OnnxTeacher",
    "Pipeline",
    "PreparedImages",
    "Source",
    "augment_and_mix_transform",
    "auto_augment_transform",
    "channel_statistics",
    "class_index",
    "create_dataset",
    "create_loader",
    "create_source",
    "create_transforms",
    "describe_evaluation",
    "epoch_indices",
    "epoch_keys",
    "find_dataset",
    "get_dataset_download_root",
    "get_dataset_size",
    "imagenet_classes",
    "list_images",
    "progressive_stages",
    "rand_augment_transform",
    "readable_classes",
    "shard_indices",
    "transforms_cifar",
    "transforms_imagenet_eval",
    "transforms_imagenet_train",
    "transforms_mnist",
    "trivial_augment_wide_transform",
    "with_teacher",
]
