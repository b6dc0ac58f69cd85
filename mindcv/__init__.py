"""Train, validate and use image classification networks with MindSpore.

MindSpore is imported when a name that needs it is first used: ``import mindcv`` takes milliseconds.
"""

from typing import TYPE_CHECKING, Any

from mindcv.runtime.environment import prepare_environment
from mindcv.version import __version__

if TYPE_CHECKING:
    from mindcv.data import create_dataset, create_loader, create_transforms
    from mindcv.loss import create_loss
    from mindcv.models import create_model, list_models, register_model
    from mindcv.optim import create_optimizer
    from mindcv.scheduler import create_scheduler

__all__ = [
    "__version__",
    "create_dataset",
    "create_loader",
    "create_loss",
    "create_model",
    "create_optimizer",
    "create_scheduler",
    "create_transforms",
    "list_models",
    "register_model",
]

prepare_environment()  # before MindSpore runs anything


def __getattr__(name: str) -> Any:
    match name:
        case "create_model" | "list_models" | "register_model":
            from mindcv import models as home
        case "create_dataset" | "create_loader" | "create_transforms":
            from mindcv import data as home
        case "create_loss":
            from mindcv import loss as home
        case "create_optimizer":
            from mindcv import optim as home
        case "create_scheduler":
            from mindcv import scheduler as home
        case _:
            raise AttributeError(f"module 'mindcv' has no attribute '{name}'")
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
