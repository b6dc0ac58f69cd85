"""Options of what a run leaves: validations and checkpoints."""

from dataclasses import dataclass
from typing import Literal

from mindcv.config.checks import check_numbers

__all__ = ["CheckpointConfig", "ValidationConfig"]


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Validation.

    Args:
        val_while_train: Validate while training; the best checkpoint is chosen by it.
        val_interval: Epochs between two validations.
    """

    val_while_train: bool = False
    val_interval: int = 1

    def __post_init__(self) -> None:
        check_numbers(self, "give 1 or more", "val_interval", low=1)


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """Checkpoints.

    Args:
        ckpt_save_dir: Folder that receives checkpoints, the log and the curve.
        ckpt_save_interval: Epochs between two checkpoints.
        ckpt_save_policy: Keep the newest (latest_k) or the best (top_k) keep_checkpoint_max of them.
        keep_checkpoint_max: How many of them are kept; the best is kept besides.
        ckpt_save_steps: Updates between two checkpoints within an epoch; 0 is none. The newest is kept.
        ckpt_save_minutes: Minutes between two checkpoints; 0 is none.
        on_nan: What a loss or a weight does that is no finite number any more: stop the run, or rollback to
            the newest checkpoint and go on with another order and augmentation, three times at most.
        resume: Go on with a run: auto takes the newest whole checkpoint in ckpt_save_dir, and starts afresh
            if there is none; or a file.
    """

    ckpt_save_dir: str = "./ckpt"
    ckpt_save_interval: int = 1
    ckpt_save_policy: Literal["latest_k", "top_k"] = "latest_k"
    keep_checkpoint_max: int = 10
    ckpt_save_steps: int = 0
    ckpt_save_minutes: float = 0.0
    on_nan: Literal["stop", "rollback"] = "stop"
    resume: str = ""

    def __post_init__(self) -> None:
        check_numbers(self, "give 1 or more", "ckpt_save_interval", low=1)
        check_numbers(self, "give 0 or more", "keep_checkpoint_max", "ckpt_save_steps", "ckpt_save_minutes")
