"""MnasNet and the registry that makes models by name."""

from mindcv.models.dropout import seed_dropout
from mindcv.models.features import FeaturePyramid, feature_pyramid
from mindcv.models.freezing import freeze
from mindcv.models.mnasnet import (
    MnasNet,
    mnasnet_050,
    mnasnet_075,
    mnasnet_100,
    mnasnet_130,
    mnasnet_140,
    mnasnet_small,
    semnasnet_075,
    semnasnet_100,
)
from mindcv.models.registry import ModelEntry, create_model, find_model, list_models, register_model
from mindcv.models.summary import Row, Summary, summarize

__all__ = [
    "FeaturePyramid",
    "MnasNet",
    "ModelEntry",
    "Row",
    "Summary",
    "create_model",
    "feature_pyramid",
    "find_model",
    "freeze",
    "list_models",
    "mnasnet_050",
    "mnasnet_075",
    "mnasnet_100",
    "mnasnet_130",
    "mnasnet_140",
    "mnasnet_small",
    "register_model",
    "seed_dropout",
    "semnasnet_075",
    "semnasnet_100",
    "summarize",
]
