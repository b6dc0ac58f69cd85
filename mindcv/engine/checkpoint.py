"""The checkpoints of a training run: which are written, what they hold, and which are kept."""

import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from mindspore import Parameter, Tensor, nn

from mindcv.choices import SavePolicy
from mindcv.engine.history import CURVE, TABLE
from mindcv.engine.run_position import RunPosition
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import OPTIMIZER, STEP, write_checkpoint
from mindcv.step.train_step import TrainStep

__all__ = ["CheckpointManager", "checkpoint_files", "refuse_earlier_run", "training_state"]


def training_state(network: nn.Cell, step: TrainStep) -> dict[str, Parameter | Tensor]:
    """Return every tensor that training changes.

    The network's have their own names, those of its EMA model the same after ``ema.``, the optimizer's
    after ``optimizer.``, and the counters and the loss scale after ``step.``.

    Args:
        network: The unwrapped network; its parameters are a checkpoint's weights.
        step: Its train step. Accumulated gradients are not saved: they are zero after each update, and so
            at the end of an epoch.
    """
    weights = network.parameters_dict()
    optimizer = {name: p for name, p in step.optimizer.parameters_dict().items() if name not in weights}
    others = step.loss_scale.parameters_dict()
    random_state = getattr(network, "random_state", None)
    if random_state is not None:
        others["dropout.passes"] = random_state.passes
    ema = {}
    if step.ema is not None:
        ema = {p.name: p for p in step.ema.ema_values}
        others[step.ema.updates.name] = step.ema.updates
    return {
        **weights,
        **ema,
        **{f"{OPTIMIZER}{name}": parameter for name, parameter in optimizer.items()},
        **{f"{STEP}{name}": parameter for name, parameter in others.items()},
    }


@dataclass(frozen=True)
class _Saved:
    path: Path
    score: float


class CheckpointManager:
    """Writes numbered checkpoints, keeps the newest or the best of them, and always the best epoch's.

    Each of them holds the random id of its run, which a resumed run keeps.

    Args:
        folder: Receives the files; `prepare_folder` creates it.
        name: Start of the files' names, usually the model's.
        aliases: Other names that an earlier run in the folder may have used.
        tensors: What to save, such as `training_state` returns.
        metadata: Metadata of every checkpoint beside its epoch and score: the config and the class names.
        interval: Epochs between two numbered checkpoints; the last epoch is saved too.
        policy: Keep the newest or the best ones.
        keep: Number of numbered checkpoints to keep; with 0 none is written.
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
        aliases: Sequence[str] = (),
    ) -> None:
        self.folder = Path(folder)
        self.name = name
        self.names = (name, *aliases)
        self.tensors = tensors
        self.metadata = metadata
        self.interval = interval
        self.policy = policy
        self.keep = keep
        self.saved: list[_Saved] = []
        self.best_score = float("-inf")
        self.run_id: str | None = secrets.token_hex(8)

    def prepare_folder(self) -> None:
        """Create the folder, and remove incomplete files of a run that was killed.

        Raises:
            UserError: If the folder cannot be created or written to.
        """
        prepare_folder(self.folder)
        patterns = [f".{name}[-_]*.ckpt.*" for name in self.names]
        for pattern in (*patterns, f".{TABLE}.*", f".{CURVE}.*"):
            for leftover in self.folder.glob(pattern):
                shutil.rmtree(leftover, ignore_errors=True)

    @property
    def best_path(self) -> Path:
        """The file of the best checkpoint."""
        return self.folder / f"{self.name}_best.ckpt"

    @property
    def latest_path(self) -> Path:
        """The file of the newest state within an epoch."""
        return self.folder / f"{self.name}_latest.ckpt"

    def after_epoch(self, position: RunPosition, step: int, *, score: float | None, last: bool) -> None:
        """Save the numbered checkpoint of an epoch if it is due, and the best one if this epoch is the best.

        Args:
            position: The position after the epoch.
            step: Updates finished so far.
            score: Top-1 accuracy of the validation after this epoch, if there was one.
            last: Whether training ends here.
        """
        # An epoch without a validation, or whose score is NaN, ranks behind all others.
        rank = float("-inf") if score is None or isnan(score) else score
        is_best = rank > self.best_score
        self.best_score = max(rank, self.best_score)
        epoch = position.epoch
        if self.keep and (last or epoch % self.interval == 0):
            path = self.folder / f"{self.name}-{epoch}.ckpt"
            self.saved = [saved for saved in self.saved if saved.path != path] + [_Saved(path, rank)]
            write_checkpoint(path, self.tensors, self._metadata(position, step, score))
            self.latest_path.unlink(missing_ok=True)
            self._drop_surplus()
        if is_best:
            write_checkpoint(self.best_path, self.tensors, self._metadata(position, step, score))

    def save(self, position: RunPosition, step: int) -> None:
        """Save the state within an epoch, in place of the one before.

        Args:
            position: The position within the epoch.
            step: Updates finished so far.
        """
        write_checkpoint(self.latest_path, self.tensors, self._metadata(position, step, None))

    def _metadata(self, position: RunPosition, step: int, score: float | None) -> dict[str, Any]:
        return {
            **self.metadata,
            "run": self.run_id,
            "epoch": position.epoch,
            "step": step,
            "top1": score,
            "progress": position.metadata(),
            "best_top1": _json_number(self.best_score),
            "kept": [[saved.path.name, _json_number(saved.score)] for saved in self.saved],
        }

    def restore(self, metadata: Mapping[str, Any], path: Path | None = None) -> None:
        """Adopt the files of the run that wrote this metadata, as far as they are in the folder.

        Args:
            metadata: Of one of its checkpoints.
            path: That checkpoint: if its name begins with an alias, the files to come are named alike.

        Raises:
            UserError: If it is not in the folder, and another run's files are.
        """
        if path is not None and path.parent.resolve() != self.folder.resolve():
            refuse_earlier_run(self.folder, *self.names)
        elif path is not None:
            self.name = next((name for name in self.names if _belongs(path, name)), self.name)
        self.run_id = metadata.get("run")  # an earlier version stored none
        if self.best_path.is_file():
            self.best_score = _score(metadata["best_top1"])
        kept = [_Saved(self.folder / name, _score(score)) for name, score in metadata["kept"]]
        self.saved = [saved for saved in kept if saved.path.is_file()]

    def _drop_surplus(self) -> None:
        if len(self.saved) > self.keep:
            # Of equal scores, and without scores, the oldest is removed.
            worst = min(self.saved, key=lambda s: s.score) if self.policy == "top_k" else self.saved[0]
            self.saved.remove(worst)
            worst.path.unlink(missing_ok=True)


def checkpoint_files(folder: Path, *names: str) -> list[Path]:
    """Return the checkpoints of runs of these names in a folder."""
    return [path for path in folder.glob("*.ckpt") if any(_belongs(path, name) for name in names)]


def refuse_earlier_run(folder: Path, *names: str) -> None:
    """Refuse a folder for a new run that holds checkpoints of another run of these names.

    Raises:
        UserError: If there are such files: the new run would replace some of them and leave others.
    """
    files = checkpoint_files(folder, *names)
    if files:
        newest = max(files, key=lambda path: path.stat().st_mtime_ns)
        raise UserError(
            f"ckpt_save_dir={folder} holds an earlier run, {newest.name}: continue it with --resume auto, "
            "choose another folder, or delete its files"
        )


def _belongs(path: Path, name: str) -> bool:
    """Whether a run of this name wrote a file; one of ``slimnet`` has not written ``slimnet_050-1.ckpt``."""
    return re.fullmatch(rf"{re.escape(name)}(-\d+|_best|_latest)\.ckpt", path.name) is not None


def _json_number(score: float) -> float | None:
    return None if score == float("-inf") else score


def _score(number: float | None) -> float:
    return float("-inf") if number is None else number


def prepare_folder(folder: Path) -> None:
    """Create a folder for a run's output.

    Raises:
        UserError: If it cannot be created or written to.
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
