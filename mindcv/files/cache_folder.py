"""The folder that downloaded files are kept in."""

import os
from pathlib import Path

from mindcv.errors import UserError

__all__ = ["cache_folder", "dataset_folder"]


def cache_folder() -> Path:
    """Return the folder of downloads: ``MINDCV_HOME``, or ``mindcv`` in the user's cache (XDG_CACHE_HOME)."""
    home = os.environ.get("MINDCV_HOME", "")
    cache = os.environ.get("XDG_CACHE_HOME", "")
    try:
        if home:
            return Path(home).expanduser().absolute()
        # The standard says that a relative path there is to be ignored.
        return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "mindcv"
    except RuntimeError:
        raise UserError("this user has no home folder for downloads: set MINDCV_HOME to a folder") from None


def dataset_folder() -> Path:
    """Return the folder of downloaded datasets, in `cache_folder`."""
    return cache_folder() / "datasets"
