"""Training and evaluation of networks that others have built."""

from mindcv.engine.averaging import average_checkpoints, select_checkpoints
from mindcv.engine.checkpoint import CheckpointManager, training_state
from mindcv.engine.clipping import AdaptiveClip, ClipByNorm, ClipByValue
from mindcv.engine.distillation import DistillationLoss, NetworkWithTeacher, NetworkWithTeacherLogits
from mindcv.engine.ema import Ema, follow
from mindcv.engine.evaluate import EvalStep, Evaluation, evaluate
from mindcv.engine.history import EpochResult, History
from mindcv.engine.loss_scale import LossScale
from mindcv.engine.precision import mixed_precision
from mindcv.engine.progress import Progress
from mindcv.engine.saving import Saving
from mindcv.engine.step import NetworkWithLoss, Normalized, TrainStep, batch_norm_statistics
from mindcv.engine.trainer import Trainer

__all__ = [
    "AdaptiveClip",
    "CheckpointManager",
    "ClipByNorm",
    "ClipByValue",
    "DistillationLoss",
    "Ema",
    "EpochResult",
    "EvalStep",
    "Evaluation",
    "History",
    "LossScale",
    "NetworkWithLoss",
    "NetworkWithTeacher",
    "NetworkWithTeacherLogits",
    "Normalized",
    "Progress",
    "Saving",
    "TrainStep",
    "Trainer",
    "average_checkpoints",
    "batch_norm_statistics",
    "evaluate",
    "follow",
    "mixed_precision",
    "select_checkpoints",
    "training_state",
]
