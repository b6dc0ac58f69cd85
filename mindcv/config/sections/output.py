"""Options of what a run writes: validations, checkpoints and how it recovers."""

from dataclasses import dataclass

from mindcv.choices import NanPolicy, SavePolicy
from mindcv.config.option import Section, option
from mindcv.ranges import AT_LEAST_ONE, AT_LEAST_ZERO

__all__ = ["CheckpointConfig", "RecoveryConfig", "ValidationConfig"]


@dataclass(frozen=True, kw_only=True)
class ValidationConfig(Section):
    """Validation.

    Args:
        val_while_train: Validate while training; the best checkpoint is chosen by it.
        val_interval: Epochs between two validations.
    """

    val_while_train: bool = option(False)
    val_interval: int = option(1, range=AT_LEAST_ONE, unit="epochs")


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig(Section):
    """Checkpoints.

    Args:
        folder: Folder for checkpoints, history.csv and curve.png.
        interval: Epochs between two checkpoints.
        policy: Keep the newest (latest_k) or the best (top_k) keep_checkpoint_max of them; null keeps
            all, as in MindCV.
        keep: How many of them are kept; the best one is kept in addition.
    """

    folder: str = option("./ckpt", yaml="ckpt_save_dir", aliases=("output_dir",))
    interval: int = option(1, yaml="ckpt_save_interval", range=AT_LEAST_ONE, scope="run", unit="epochs")
    policy: SavePolicy | None = option("latest_k", yaml="ckpt_save_policy")
    keep: int = option(10, yaml="keep_checkpoint_max", range=AT_LEAST_ZERO)


@dataclass(frozen=True, kw_only=True)
class RecoveryConfig(Section):
    """Recovery from interruptions and divergence.

    Args:
        ckpt_save_steps: Updates between two checkpoints within an epoch; 0 is off. The newest is kept.
        ckpt_save_minutes: Time between two checkpoints within an epoch; 0 is off.
        on_nan: What to do when the loss or a weight becomes NaN or infinite: stop the run, or rollback to
            the newest checkpoint and continue with another order and augmentation, three times at most.
        resume: Resume a run: auto uses the newest intact checkpoint in ckpt_save_dir, and starts from the
            beginning if there is none; or a file.
    """

    ckpt_save_steps: int = option(0, range=AT_LEAST_ZERO, scope="run", unit="updates")
    ckpt_save_minutes: float = option(0.0, range=AT_LEAST_ZERO, scope="run", unit="minutes")
    on_nan: NanPolicy = option("stop")
    resume: str = option("", scope="run")
