"""Training and evaluation of networks that others have built."""

from mindcv.engine.averaging import average_checkpoints, select_checkpoints
from mindcv.engine.checkpoint import CheckpointManager, training_state
from mindcv.engine.evaluate import Evaluation, evaluate
from mindcv.engine.history import EpochResult, History
from mindcv.engine.step import EvalStep, Normalized, TrainStep, batch_norm_statistics
from mindcv.engine.trainer import Trainer

__all__ = [
    "CheckpointManager",
    "EpochResult",
    "EvalStep",
    "Evaluation",
    "History",
    "Normalized",
    "TrainStep",
    "Trainer",
    "average_checkpoints",
    "batch_norm_statistics",
    "evaluate",
    "select_checkpoints",
    "training_state",
]
