"""Training and evaluation of networks that others have built."""

from mindcv.engine.checkpoint import CheckpointManager, training_state
from mindcv.engine.distillation import DistillationLoss, NetworkWithTeacher, NetworkWithTeacherLogits
from mindcv.engine.evaluate import Evaluation, evaluate
from mindcv.engine.history import EpochResult, History
from mindcv.engine.step import EvalStep, Normalized, TrainStep, batch_norm_statistics
from mindcv.engine.trainer import Trainer

__all__ = [
    "CheckpointManager",
    "DistillationLoss",
    "EpochResult",
    "EvalStep",
    "Evaluation",
    "History",
    "NetworkWithTeacher",
    "NetworkWithTeacherLogits",
    "Normalized",
    "TrainStep",
    "Trainer",
    "batch_norm_statistics",
    "evaluate",
    "training_state",
]
