"""The device side of a training run: the train step and its components."""

from mindcv.step.clipping import AdaptiveClip, ClipByNorm, ClipByValue
from mindcv.step.distillation import DistillationLoss, NetworkWithTeacher, NetworkWithTeacherLogits
from mindcv.step.ema import Ema, initialize_ema_model
from mindcv.step.eval_step import EvalStep
from mindcv.step.loss_scale import LossScale
from mindcv.step.precision import mixed_precision
from mindcv.step.reduction import BucketReducer
from mindcv.step.train_step import NetworkWithLoss, Normalized, TrainStep, batch_norm_statistics

__all__ = [
    "AdaptiveClip",
    "BucketReducer",
    "ClipByNorm",
    "ClipByValue",
    "DistillationLoss",
    "Ema",
    "EvalStep",
    "LossScale",
    "NetworkWithLoss",
    "NetworkWithTeacher",
    "NetworkWithTeacherLogits",
    "Normalized",
    "TrainStep",
    "batch_norm_statistics",
    "initialize_ema_model",
    "mixed_precision",
]
