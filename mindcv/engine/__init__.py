"""Training and evaluation of networks that others have built."""

from mindcv.engine.averaging import average_checkpoints, select_checkpoints
from mindcv.engine.checkpoint import CheckpointManager, training_state
from mindcv.engine.distillation import DistillationLoss, NetworkWithTeacher, NetworkWithTeacherLogits
from mindcv.engine.evaluate import Evaluation, evaluate
from mindcv.engine.history import EpochResult, History
from mindcv.engine.lr_finder import (
    RangeTest,
    Suggestion,
    exponential_rates,
    run_range_test,
    smooth,
    suggest,
)
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
    "RangeTest",
    "Suggestion",
    "TrainStep",
    "Trainer",
    "average_checkpoints",
    "batch_norm_statistics",
    "evaluate",
    "exponential_rates",
    "run_range_test",
    "select_checkpoints",
    "smooth",
    "suggest",
    "training_state",
]
