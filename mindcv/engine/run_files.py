"""The checkpoint files of a training run in a folder, described by what they hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from mindcv.errors import UserError
from mindcv.files.checkpoint_metadata import read_metadata
from mindcv.files.inputs import files_ending

__all__ = ["RunFile", "belongs", "checkpoint_files", "describe", "read_run_file", "refuse_earlier_run"]


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """A checkpoint from which a run can be resumed.

    Args:
        path: The file.
        run: Id of its run; None if an earlier version wrote it.
        branch: How often the run had gone back behind its newest checkpoint, see `CheckpointManager.restore`.
        epoch: Epochs finished.
        batch: Batches finished of the next one.
        score: Top-1 accuracy of the validation after the epoch; -inf if there was none.
    """

    path: Path
    run: str | None
    branch: int
    epoch: int
    batch: int
    score: float

    @property
    def position(self) -> tuple[int, int]:
        """Epochs and batches finished."""
        return self.epoch, self.batch

    @property
    def is_numbered(self) -> bool:
        """Whether it is the checkpoint of an epoch rather than the best or the latest one."""
        return re.search(r"-\d+\.ckpt$", self.path.name) is not None

    @property
    def age(self) -> tuple[int, int, int, bool]:
        """The newer a file is, the higher; of the best one and the numbered one of its epoch, the latter."""
        return self.branch, *self.position, self.is_numbered


def describe(path: Path, metadata: Mapping[str, Any]) -> RunFile | None:
    """Return the description of a file with this metadata; None where they are not those of a run."""
    progress, run, branch = metadata.get("progress"), metadata.get("run"), metadata.get("branch", 0)
    if not isinstance(progress, Mapping) or not (run is None or isinstance(run, str)):
        return None
    epoch, batch, score = progress.get("epoch"), progress.get("batch"), metadata.get("top1")
    if not (_is_count(epoch) and _is_count(batch) and _is_count(branch)):
        return None
    return RunFile(path=path, run=run, branch=branch, epoch=epoch, batch=batch, score=_accuracy(score))


def _accuracy(value: object) -> float:
    """Return an accuracy; an epoch without a validation, or whose score is NaN, ranks behind all others."""
    if isinstance(value, float | int) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    return float("-inf")


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0


def read_run_file(path: Path) -> RunFile | None:
    """Return the description of a file; None if it cannot be read or is not of a run. No tensor is read."""
    try:
        return describe(path, read_metadata(path))
    except UserError:
        return None


def checkpoint_files(folder: Path, *names: str) -> list[Path]:
    """Return the checkpoints of runs of these names in a folder, sorted by name."""
    return [path for path in files_ending(folder, ".ckpt") if any(belongs(path, name) for name in names)]


def belongs(path: Path, name: str) -> bool:
    """Whether a run of this name wrote a file; one of ``slimnet`` has not written ``slimnet_050-1.ckpt``."""
    return re.fullmatch(rf"{re.escape(name)}(-\d+|_best|_latest)\.ckpt", path.name) is not None


def refuse_earlier_run(folder: Path, *names: str) -> None:
    """Refuse a folder for a new run that holds checkpoints of another run of these names.

    Raises:
        UserError: If there are such files: the new run would replace some of them and leave others.
    """
    files = checkpoint_files(folder, *names)
    if files:
        described = [file for file in map(read_run_file, files) if file is not None]
        newest = max(described, key=lambda file: file.age).path if described else files[-1]
        raise UserError(
            f"ckpt_save_dir={folder} holds an earlier run, {newest.name}: continue it with --resume auto, "
            "choose another folder, or delete its files"
        )
