"""Downloads, and the folders that downloaded files are kept in, under MindCV's names."""

import os
from pathlib import Path

from mindcv.data.dataset_download import get_dataset_download_root
from mindcv.files.archives import DownLoad
from mindcv.files.cache_folder import cache_folder
from mindcv.models.helpers import get_checkpoint_download_root

__all__ = [
    "DownLoad",
    "get_checkpoint_download_root",
    "get_dataset_download_root",
    "get_default_download_root",
    "set_default_download_root",
]


def get_default_download_root() -> str:
    """Return the folder below which fetched files are kept."""
    return str(cache_folder())


def set_default_download_root(path: str) -> None:
    """Set the folder below which this process, and those it starts, keep fetched files.

    Args:
        path: A folder; it is created when it is needed.
    """
    os.environ["MINDCV_HOME"] = str(Path(path).absolute())
