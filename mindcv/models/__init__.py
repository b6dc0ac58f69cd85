"""MnasNet, MobileNetV2 and MobileNetV3, and models by name."""

from collections.abc import Callable

from mindspore import nn

from mindcv.models.dropout import seed_dropout
from mindcv.models.features import FeatureExtractWrapper, FeaturePyramid, feature_pyramid
from mindcv.models.freezing import freeze
from mindcv.models.helpers import (
    ConfigDict,
    build_model_with_cfg,
    get_checkpoint_download_root,
    load_model_checkpoint,
    load_pretrained,
    make_divisible,
)
from mindcv.models.mnasnet import (
    MnasNet,
    Mnasnet,
    mnasnet_050,
    mnasnet_075,
    mnasnet_100,
    mnasnet_130,
    mnasnet_140,
    mnasnet_small,
    semnasnet_075,
    semnasnet_100,
)
from mindcv.models.mobilenetv2 import (
    MobileNetV2,
    mobilenet_v2_050,
    mobilenet_v2_075,
    mobilenet_v2_100,
    mobilenet_v2_140,
)
from mindcv.models.mobilenetv3 import MobileNetV3, mobilenet_v3_large_100, mobilenet_v3_small_100
from mindcv.models.model_factory import create_model
from mindcv.models.network_summary import Row, Summary, summarize
from mindcv.models.registry import (
    ModelEntry,
    find_model,
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

__all__ = [
    "ConfigDict",
    "FeatureExtractWrapper",
    "FeaturePyramid",
    "MnasNet",
    "Mnasnet",
    "MobileNetV2",
    "MobileNetV3",
    "ModelEntry",
    "Row",
    "Summary",
    "build_model_with_cfg",
    "create_model",
    "feature_pyramid",
    "find_model",
    "freeze",
    "get_checkpoint_download_root",
    "get_pretrained_cfg",
    "get_pretrained_cfg_value",
    "has_pretrained_cfg_key",
    "is_model",
    "is_model_in_modules",
    "is_model_pretrained",
    "list_models",
    "list_modules",
    "load_model_checkpoint",
    "load_pretrained",
    "make_divisible",
    "mnasnet_050",
    "mnasnet_075",
    "mnasnet_100",
    "mnasnet_130",
    "mnasnet_140",
    "mnasnet_small",
    "mobilenet_v2_050",
    "mobilenet_v2_075",
    "mobilenet_v2_100",
    "mobilenet_v2_140",
    "mobilenet_v3_large_100",
    "mobilenet_v3_small_100",
    "model_entrypoint",
    "register_model",
    "seed_dropout",
    "semnasnet_075",
    "semnasnet_100",
    "summarize",
]


def __getattr__(name: str) -> Callable[..., nn.Cell]:
    """Return the function that builds a model by one of its further names, such as mobilenet_v2_050_128."""
    if is_model(name):
        return model_entrypoint(name)
    raise AttributeError(f"module 'mindcv.models' has no attribute '{name}'")
