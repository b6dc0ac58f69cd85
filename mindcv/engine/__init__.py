"""Training and evaluation of networks that others have built."""

from mindcv.engine.checkpoint import CheckpointManager, training_state
from mindcv.engine.checkpoint_averaging import average_checkpoints, select_checkpoints
from mindcv.engine.evaluate import EvalStep, Evaluation, evaluate
from mindcv.engine.history import EpochResult, History
from mindcv.engine.run_position import Progress
from mindcv.engine.save_schedule import Saving
from mindcv.engine.trainer import Trainer

__all__ = [
    "CheckpointManager",
    "EpochResult",
    "EvalStep",
    "Evaluation",
    "History",
    "Progress",
    "Saving",
    "Trainer",
    "average_checkpoints",
    "evaluate",
    "select_checkpoints",
    "training_state",
]
