"""The host side of a training run: the trainer, its callbacks, checkpoints, and evaluation."""

from mindcv.engine.callbacks import RunCallback, run_state
from mindcv.engine.checkpoint import CheckpointManager, training_state
from mindcv.engine.checkpoint_averaging import average_checkpoints, select_checkpoints
from mindcv.engine.epoch_result import EpochResult
from mindcv.engine.evaluate import Evaluation, evaluate
from mindcv.engine.predictions import PredictionRecorder, Predictions
from mindcv.engine.run_position import RunPosition
from mindcv.engine.run_state import Interval, RunState
from mindcv.engine.trainer import Trainer

__all__ = [
    "CheckpointManager",
    "EpochResult",
    "Evaluation",
    "Interval",
    "PredictionRecorder",
    "Predictions",
    "RunCallback",
    "RunPosition",
    "RunState",
    "Trainer",
    "average_checkpoints",
    "evaluate",
    "run_state",
    "select_checkpoints",
    "training_state",
]
