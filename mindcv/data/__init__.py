"""Datasets, transforms and pipelines."""

from mindcv.data.catalogue import channel_statistics
from mindcv.data.datasets import create_dataset, create_source
from mindcv.data.folder import class_index
from mindcv.data.loader import create_loader
from mindcv.data.pipeline import Pipeline
from mindcv.data.sampling import epoch_indices, shard_indices
from mindcv.data.sources import Source
from mindcv.data.teacher import OnnxTeacher, with_teacher
from mindcv.data.transforms import create_transforms

__all__ = [
    "OnnxTeacher",
    "Pipeline",
    "Source",
    "channel_statistics",
    "class_index",
    "create_dataset",
    "create_loader",
    "create_source",
    "create_transforms",
    "epoch_indices",
    "shard_indices",
    "with_teacher",
]
