"""Which checkpoints of a training run are written, what they hold, and which are kept."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from mindspore import Parameter, Tensor, nn

from mindcv.choices import SavePolicy
from mindcv.engine.run_position import Progress
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import OPTIMIZER, STEP, write_checkpoint
from mindcv.step.train_step import TrainStep

__all__ = ["CheckpointManager", "checkpoint_files", "training_state"]

logger = logging.getLogger(__name__)


def training_state(network: nn.Cell, step: TrainStep) -> dict[str, Parameter | Tensor]:
    """Every tensor that training changes.

    The network's have their own names, those of its moving average the same after ``ema.``, the optimizer's
    after ``optimizer.``, and the counters and the loss scale after ``step.``.

    Args:
        network: The bare network; its parameters are a checkpoint's weights.
        step: Its train step. What the gradients of several batches add up to is not saved: that is empty
            after each update, and so at the end of an epoch.
    """
    weights = network.parameters_dict()
    optimizer = {name: p for name, p in step.optimizer.parameters_dict().items() if name not in weights}
    others = step.loss_scale.parameters_dict()
    random_state = getattr(network, "random_state", None)
    if random_state is not None:
        others["dropout.passes"] = random_state.passes
    averages = {}
    if step.ema is not None:
        averages = {p.name: p for p in step.ema.averages}
        others[step.ema.updates.name] = step.ema.updates
    return {
        **weights,
        **averages,
        **{f"{OPTIMIZER}{name}": parameter for name, parameter in optimizer.items()},
        **{f"{STEP}{name}": parameter for name, parameter in others.items()},
    }


@dataclass(frozen=True)
class _Saved:
    path: Path
    score: float


class CheckpointManager:
    """Writes a numbered checkpoint now and then, keeps the wanted number of them, and always the best one.

    Args:
        folder: Receives the files; made if missing.
        name: Start of the files' names, usually the model's.
        tensors: What to save, such as `training_state` returns.
        metadata: What every checkpoint says beside its epoch and score: the config and the classes.
        interval: Epochs between two numbered checkpoints; the last epoch is saved too.
        policy: Keep the newest or the best ones.
        keep: How many numbered checkpoints are kept; with 0 none is written.

    Raises:
        UserError: If the folder cannot be made or written to.
    """

    def __init__(
        self,
        folder: str | Path,
        name: str,
        tensors: Mapping[str, Parameter | Tensor],
        metadata: Mapping[str, Any],
        *,
        interval: int = 1,
        policy: SavePolicy = "latest_k",
        keep: int = 10,
    ) -> None:
        self.folder = Path(folder)
        self.name = name
        self.tensors = tensors
        self.metadata = metadata
        self.interval = interval
        self.policy = policy
        self.keep = keep
        self.saved: list[_Saved] = []
        self.best_score = float("-inf")
        prepare_folder(self.folder)
        for leftover in self.folder.glob(f".{name}[-_]*.ckpt.*"):  # of a run killed while it wrote a file
            shutil.rmtree(leftover, ignore_errors=True)

    @property
    def best_path(self) -> Path:
        """The file of the best checkpoint."""
        return self.folder / f"{self.name}_best.ckpt"

    @property
    def latest_path(self) -> Path:
        """The file of the newest state within an epoch."""
        return self.folder / f"{self.name}_latest.ckpt"

    def after_epoch(self, progress: Progress, step: int, *, score: float | None, last: bool) -> None:
        """Save what an epoch deserves.

        Args:
            progress: The place after it.
            step: Updates finished so far.
            score: Top-1 accuracy of the validation after this epoch, if there was one.
            last: Whether training ends here.
        """
        # An epoch without a validation, or with a broken one, ranks behind all others.
        rank = float("-inf") if score is None or isnan(score) else score
        is_best = rank > self.best_score
        self.best_score = max(rank, self.best_score)
        epoch = progress.epoch
        if self.keep and (last or epoch % self.interval == 0):
            path = self.folder / f"{self.name}-{epoch}.ckpt"
            self.saved = [saved for saved in self.saved if saved.path != path] + [_Saved(path, rank)]
            write_checkpoint(path, self.tensors, self._metadata(progress, step, score))
            self.latest_path.unlink(missing_ok=True)
            self._drop_surplus()
        if is_best:
            write_checkpoint(self.best_path, self.tensors, self._metadata(progress, step, score))

    def save(self, progress: Progress, step: int) -> None:
        """Save the state within an epoch, in place of the one before.

        Args:
            progress: The place.
            step: Updates finished so far.
        """
        write_checkpoint(self.latest_path, self.tensors, self._metadata(progress, step, None))

    def _metadata(self, progress: Progress, step: int, score: float | None) -> dict[str, Any]:
        return {
            **self.metadata,
            "epoch": progress.epoch,
            "step": step,
            "top1": score,
            "progress": progress.metadata(),
            "best_top1": _json_number(self.best_score),
            "kept": [[saved.path.name, _json_number(saved.score)] for saved in self.saved],
        }

    def warn_of_earlier_run(self) -> None:
        """Say so if the folder holds files that a run from the start will replace."""
        if checkpoint_files(self.folder, self.name):
            logger.warning(
                "%s holds an earlier run, whose files are replaced; --resume auto would go on with it",
                self.folder,
            )

    def restore(self, metadata: Mapping[str, Any]) -> None:
        """Go on with the files of the run that wrote this metadata, as far as they are in the folder."""
        if self.best_path.is_file():
            self.best_score = _score(metadata["best_top1"])
        kept = [_Saved(self.folder / name, _score(score)) for name, score in metadata["kept"]]
        self.saved = [saved for saved in kept if saved.path.is_file()]

    def _drop_surplus(self) -> None:
        if len(self.saved) > self.keep:
            # Of equal scores the oldest goes, and without scores so does the oldest.
            worst = min(self.saved, key=lambda s: s.score) if self.policy == "top_k" else self.saved[0]
            self.saved.remove(worst)
            worst.path.unlink(missing_ok=True)


def checkpoint_files(folder: Path, name: str) -> list[Path]:
    """The checkpoints that a run of this name has left in a folder."""
    return [path for path in folder.glob("*.ckpt") if path.name.startswith((f"{name}-", f"{name}_"))]


def _json_number(score: float) -> float | None:
    return None if score == float("-inf") else score


def _score(number: float | None) -> float:
    return float("-inf") if number is None else number


def prepare_folder(folder: Path) -> None:
    """Make a folder for a run's output.

    Raises:
        UserError: If it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"ckpt_save_dir={folder} cannot be written ({error.strerror}): choose another one"
        ) from None
