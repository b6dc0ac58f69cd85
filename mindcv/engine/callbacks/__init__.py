"""The callbacks of a training run.

They are called in this order, so that a failing table or curve does not cost a checkpoint: `FiniteGuard`,
`OptionsFile`, `Opening`, `Progress`, `StatisticsExchange`, `Validation`, `Checkpointing`, `HistoryTable`,
`MetricsLog`, `LearningCurve`, `EpochReport`, `BadImagesReport`, the user's own, `FinalReport` and `Stopping`.
"""

from mindcv.engine.callbacks.checkpointing import Checkpointing, SaveSchedule
from mindcv.engine.callbacks.final_report import FinalReport, ReportedEpoch
from mindcv.engine.callbacks.finite_guard import FiniteGuard, Rollback
from mindcv.engine.callbacks.metrics_log import MetricsLog
from mindcv.engine.callbacks.progress import Progress
from mindcv.engine.callbacks.reporting import (
    BadImagesReport,
    EpochReport,
    HistoryTable,
    LearningCurve,
    Opening,
    OptionsFile,
)
from mindcv.engine.callbacks.run_callback import RunCallback, run_state
from mindcv.engine.callbacks.stopping import Stopping, StopSignal
from mindcv.engine.callbacks.validation import StatisticsExchange, Validation

__all__ = [
    "BadImagesReport",
    "Checkpointing",
    "EpochReport",
    "FinalReport",
    "FiniteGuard",
    "HistoryTable",
    "LearningCurve",
    "MetricsLog",
    "Opening",
    "OptionsFile",
    "Progress",
    "ReportedEpoch",
    "Rollback",
    "RunCallback",
    "SaveSchedule",
    "StatisticsExchange",
    "StopSignal",
    "Stopping",
    "Validation",
    "run_state",
]
