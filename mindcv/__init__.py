"""Train, validate and use image classification networks with MindSpore.

MindSpore is imported when a name that needs it is first used: ``import mindcv`` takes milliseconds.
"""

from typing import TYPE_CHECKING, Any

from mindcv.runtime.environment import prepare_environment
from mindcv.version import __version__

if TYPE_CHECKING:
    from mindcv.data import create_dataset, create_loader, create_transforms
    from mindcv.loss import create_loss
    from mindcv.models import (
        create_model,
        get_pretrained_cfg,
        get_pretrained_cfg_value,
        has_pretrained_cfg_key,
        is_model,
        is_model_in_modules,
        is_model_pretrained,
        list_models,
        list_modules,
        model_entrypoint,
        register_model,
    )
    from mindcv.optim import create_optimizer
    from mindcv.scheduler import create_scheduler
    from mindcv.utils import create_trainer, get_metrics, set_logger, set_seed

__all__ = [
    "__version__",
    "create_dataset",
    "create_loader",
    "create_loss",
    "create_model",
    "create_optimizer",
    "create_scheduler",
    "create_trainer",
    "create_transforms",
    "get_metrics",
    "get_pretrained_cfg",
    "get_pretrained_cfg_value",
    "has_pretrained_cfg_key",
    "is_model",
    "is_model_in_modules",
    "is_model_pretrained",
    "list_models",
    "list_modules",
    "model_entrypoint",
    "register_model",
    "set_logger",
    "set_seed",
]

# Further names of MindCV's top level, by the package that has them.
FURTHER = {
    "utils": (
        *("AMP_BLACK_LIST", "AMP_WHITE_LIST", "ARCHIVE_TYPE_SUFFIX", "COMPRESS_TYPE_SUFFIX"),
        *("FILE_TYPE_ALIASES", "AllReduceSum", "CheckpointManager", "DownLoad", "StateMonitor", "TrainStep"),
        *("ValCallback", "auto_mixed_precision", "detect_file_type", "get_default_download_root"),
        *("require_customized_train_step", "set_default_download_root"),
    ),
    "data": ("Cifar10Download", "Cifar100Download", "MnistDownload", "get_dataset_download_root"),
    "models": (
        *("Mnasnet", "MobileNetV2", "MobileNetV3", "mnasnet_050", "mnasnet_075", "mnasnet_100"),
        *("mnasnet_130", "mnasnet_140", "mobilenet_v2_075", "mobilenet_v2_100", "mobilenet_v2_140"),
        *("mobilenet_v3_large_100", "mobilenet_v3_small_100"),
    ),
}

prepare_environment()  # before MindSpore runs anything


def __getattr__(name: str) -> Any:
    match name:
        case _ if name in ("create_trainer", "get_metrics", "set_logger", "set_seed", *FURTHER["utils"]):
            from mindcv import utils as home
        case _ if name in ("create_dataset", "create_loader", "create_transforms", *FURTHER["data"]):
            from mindcv import data as home
        case "create_loss":
            from mindcv import loss as home
        case "create_optimizer":
            from mindcv import optim as home
        case "create_scheduler":
            from mindcv import scheduler as home
        case _ if name in __all__ or name in FURTHER["models"]:
            from mindcv import models as home
        case _:
            raise AttributeError(f"module 'mindcv' has no attribute '{name}'")
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *(name for names in FURTHER.values() for name in names)})
