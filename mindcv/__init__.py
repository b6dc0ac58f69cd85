"""Train, validate and use MnasNet with MindSpore.

MindSpore itself is imported when something that needs it is asked for: ``import mindcv`` takes milliseconds.
"""

from typing import TYPE_CHECKING, Any

from mindcv.runtime.environment import prepare_environment
from mindcv.version import __version__

if TYPE_CHECKING:
    from mindcv.models import create_model, list_models

__all__ = ["__version__", "create_model", "list_models"]

prepare_environment()  # before MindSpore runs anything


def __getattr__(name: str) -> Any:
    if name in ("create_model", "list_models"):
        from mindcv import models

        return getattr(models, name)
    raise AttributeError(f"module 'mindcv' has no attribute '{name}'")
