"""MindCV's utilities, for scripts and notebooks written for it: adapters to the packages of this project."""

from mindcv.utils.amp import AMP_BLACK_LIST, AMP_WHITE_LIST, auto_mixed_precision
from mindcv.utils.callbacks import StateMonitor, ValCallback
from mindcv.utils.checkpoint_manager import CheckpointManager
from mindcv.utils.download import (
    DownLoad,
    get_checkpoint_download_root,
    get_dataset_download_root,
    get_default_download_root,
    set_default_download_root,
)
from mindcv.utils.logger import set_logger
from mindcv.utils.path import (
    ARCHIVE_TYPE_SUFFIX,
    COMPRESS_TYPE_SUFFIX,
    FILE_TYPE_ALIASES,
    detect_file_type,
)
from mindcv.utils.random import set_seed
from mindcv.utils.reduce_manager import AllReduceSum
from mindcv.utils.train_step import TrainStep
from mindcv.utils.trainer_factory import create_trainer, get_metrics, require_customized_train_step

__all__ = [
    "AMP_BLACK_LIST",
    "AMP_WHITE_LIST",
    "ARCHIVE_TYPE_SUFFIX",
    "COMPRESS_TYPE_SUFFIX",
    "FILE_TYPE_ALIASES",
    "AllReduceSum",
    "CheckpointManager",
    "DownLoad",
    "StateMonitor",
    "TrainStep",
    "ValCallback",
    "auto_mixed_precision",
    "create_trainer",
    "detect_file_type",
    "get_checkpoint_download_root",
    "get_dataset_download_root",
    "get_default_download_root",
    "get_metrics",
    "require_customized_train_step",
    "set_default_download_root",
    "set_logger",
    "set_seed",
]
