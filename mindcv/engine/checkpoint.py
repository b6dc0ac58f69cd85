"""The checkpoints of a training run: which are written, what they hold, and which are kept."""

import logging
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from mindspore import Parameter, Tensor, nn

from mindcv.choices import SavePolicy
from mindcv.engine.history import CURVE, TABLE
from mindcv.engine.run_files import (
    RunFile,
    belongs,
    checkpoint_files,
    describe,
    read_run_file,
    refuse_earlier_run,
)
from mindcv.engine.run_position import RunPosition
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import OPTIMIZER, STEP, read_checkpoint, write_checkpoint, write_file
from mindcv.files.folder_lock import FolderLock
from mindcv.step.train_step import TrainStep

__all__ = ["CheckpointManager", "training_state"]

logger = logging.getLogger(__name__)

PROBE = ".writable."
TRIES = 3  # to write into a folder that is being deleted


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


class CheckpointManager:
    """Writes numbered checkpoints, keeps the newest or the best of them, and always the best epoch's.

    Each of them holds the random id of its run, which a resumed run keeps. What is kept and which one is the
    best follows from the files' own metadata, so that a run that was killed anywhere continues rightly.

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
        self.saved: list[RunFile] = []
        self.best_score = float("-inf")
        self.run_id: str | None = secrets.token_hex(8)
        self.branch = 0
        self.lock = FolderLock(folder)

    def prepare_folder(self) -> None:
        """Create the folder, lock it, and remove incomplete files of a run that was killed.

        Raises:
            UserError: If the folder cannot be created or written to, or another run uses it.
        """
        prepare_folder(self.folder)
        self.lock.acquire()
        patterns = [f".{name}[-_]*.ckpt.*" for name in self.names]
        for pattern in (*patterns, f".{TABLE}.*", f".{CURVE}.*"):
            for leftover in self.folder.glob(pattern):
                shutil.rmtree(leftover, ignore_errors=True)
        for leftover in self.folder.glob(f"{PROBE}*"):
            _remove(leftover)

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
        rank = float("-inf") if score is None or isnan(score) else score
        epoch = position.epoch
        is_numbered = bool(self.keep) and (last or epoch % self.interval == 0)
        if is_numbered:
            path = self.folder / f"{self.name}-{epoch}.ckpt"
            described = self._write(path, position, step, score)
            self.saved = [saved for saved in self.saved if saved.path != path] + [described]
            self._drop_surplus()
        is_best = rank > self.best_score
        if is_best:
            self._write(self.best_path, position, step, score)
            self.best_score = rank
        if is_numbered or is_best:
            _remove(self.latest_path)

    def save(self, position: RunPosition, step: int) -> None:
        """Save the state within an epoch, in place of the one before.

        Args:
            position: The position within the epoch.
            step: Updates finished so far.
        """
        self._write(self.latest_path, position, step, None)

    def _write(self, path: Path, position: RunPosition, step: int, score: float | None) -> RunFile:
        metadata = {
            **self.metadata,
            "run": self.run_id,
            "branch": self.branch,
            "epoch": position.epoch,
            "step": step,
            "top1": score,
            "progress": position.metadata(),
        }
        for tries_left in reversed(range(TRIES)):
            self._create_deleted_folder()
            try:
                write_checkpoint(path, self.tensors, metadata)
                break
            except UserError as error:
                if not tries_left or not isinstance(error.__cause__, FileNotFoundError):
                    raise
        described = describe(path, metadata)
        assert described is not None
        return described

    def _create_deleted_folder(self) -> None:
        """Create the folder again if it is gone; what was in it neither counts as kept nor as the best."""
        if not self.folder.is_dir():
            prepare_folder(self.folder)
            self.lock.acquire()
            self.saved, self.best_score = [], float("-inf")
            logger.warning("%s: deleted while training; it is created again", self.folder)

    def restore(self, metadata: Mapping[str, Any], path: Path | None = None) -> None:
        """Adopt the files of the run that wrote this metadata, as far as they are in the folder.

        If the run was killed between two files, the best one is copied from the numbered one of its epoch,
        and what is no longer needed is removed. Checkpoints newer than this one, which exist if the user
        chose an older one or the newest is damaged, stay until their epochs are repeated. The repeated ones
        belong to another branch, which counts as newer.

        Args:
            metadata: Of one of its checkpoints.
            path: That checkpoint: if its name begins with an alias, the files to come are named alike.

        Raises:
            UserError: If it is not in the folder, and another run's files are; or if it has no state.
        """
        resumed = describe(self.folder if path is None else path, metadata)
        if resumed is None:
            raise UserError(f"{path}: its state of a training run is damaged: use another checkpoint")
        if path is not None and path.parent.resolve() != self.folder.resolve():
            refuse_earlier_run(self.folder, *self.names)
        elif path is not None:
            self.name = next((name for name in self.names if belongs(path, name)), self.name)
        self.run_id = resumed.run  # an earlier version stored none
        found = map(read_run_file, checkpoint_files(self.folder, *self.names))
        own = [file for file in found if file is not None and file.run == resumed.run]
        earlier = [f for f in own if f.branch <= resumed.branch and f.position <= resumed.position]
        is_newest = all(file.age[:3] <= resumed.age[:3] for file in own)
        self.branch = max([resumed.branch, *(f.branch for f in own)]) + (0 if is_newest else 1)
        self.saved = sorted((f for f in earlier if f.is_numbered), key=lambda f: f.epoch)
        self._repair_best(own, earlier)
        self._drop_surplus()
        if any(file.path == self.latest_path and file.position < resumed.position for file in earlier):
            _remove(self.latest_path)

    def _repair_best(self, own: Sequence[RunFile], earlier: Sequence[RunFile]) -> None:
        """Let the best file be that of the best epoch of which a file exists; of equal scores the first."""
        present = [file for file in earlier if file.path == self.best_path]
        later = [file for file in own if file.path == self.best_path and file not in earlier]
        self.best_score = float("-inf")
        ranked = [f for f in (*present, *self.saved) if f.score > float("-inf")]
        for file in sorted(ranked, key=lambda file: (-file.score, file.epoch, file.is_numbered)):
            try:
                if file.path != self.best_path:
                    self._copy_to_best(file, later)
            except UserError as error:
                logger.warning("%s; another one becomes the best", error)
                continue
            self.best_score = file.score
            return

    def _copy_to_best(self, file: RunFile, later: Sequence[RunFile]) -> None:
        read_checkpoint(file.path)  # a damaged one is refused
        for best in later:  # the only one of its epoch, if it has no numbered file
            numbered = self.folder / f"{self.name}-{best.epoch}.ckpt"
            if not numbered.exists():
                best.path.replace(numbered)
        write_file(self.best_path, lambda _: file.path.read_bytes())
        logger.info("%s is restored from %s", self.best_path, file.path.name)

    def _drop_surplus(self) -> None:
        while self.keep and len(self.saved) > self.keep:
            # Of equal scores, and without scores, the oldest is removed.
            worst = min(self.saved, key=lambda s: s.score) if self.policy == "top_k" else self.saved[0]
            self.saved.remove(worst)
            _remove(worst.path)


def _remove(path: Path) -> None:
    """Remove a file that is no longer needed; a warning says where it stays."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s cannot be removed (%s): training continues", path, error.strerror)


def prepare_folder(folder: Path) -> None:
    """Create a folder for a run's output.

    Raises:
        UserError: If it cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=PROBE, dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"ckpt_save_dir={folder} cannot be written ({error.strerror}): choose another one"
        ) from None
