"""Resume a run: find its newest checkpoint, and restore network, optimizer and step."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mindspore import Parameter, Tensor, ops

from mindcv.engine.run_files import RunFile, checkpoint_files, describe, read_run_file
from mindcv.engine.run_position import RunPosition
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import Checkpoint, read_checkpoint

__all__ = ["check_steps", "different_options", "find_state", "read_state", "restore_state"]

logger = logging.getLogger(__name__)


def find_state(folder: str | Path, *names: str) -> tuple[Path, Checkpoint] | None:
    """Return the newest intact checkpoint of a run, with its path: the one with the most steps.

    A damaged one is skipped with a warning.

    Args:
        folder: The run's ``ckpt_save_dir``.
        names: How its files' names may start.

    Returns:
        None if there is no checkpoint at all.

    Raises:
        UserError: If there are checkpoints, but all are damaged.
    """
    files = checkpoint_files(Path(folder), *names)
    described = {path: read_run_file(path) for path in files}
    for path in sorted(files, key=lambda path: _newness(described[path]), reverse=True):
        try:
            return path, read_state(path)
        except UserError as error:
            logger.warning("%s; the one before it is tried", error)
    if files:
        raise UserError(f"resume=auto: no checkpoint in {folder} can be used: empty it to start again")
    return None


def _newness(file: RunFile | None) -> tuple[int, ...]:
    """Sort a file whose age nobody can read before all others, so that it is named."""
    return (1,) if file is None else (0, *file.age)


def read_state(path: str | Path) -> Checkpoint:
    """Read a checkpoint from which a run can be resumed.

    Raises:
        UserError: If it cannot be read, holds weights only, or its state cannot be understood.
    """
    checkpoint = read_checkpoint(path)
    if "progress" not in checkpoint.metadata:
        raise UserError(
            f"{path}: lacks the state of a training run: give it as ckpt_path, which loads the weights"
        )
    if not _is_sound(Path(path), checkpoint.metadata):
        raise UserError(f"{path}: its state of a training run is damaged: use another checkpoint")
    return checkpoint


def _is_sound(path: Path, metadata: Mapping[str, Any]) -> bool:
    """Return whether the values that resuming needs are of their types; anybody may have written them."""
    try:
        RunPosition.from_metadata(metadata["progress"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return (
        describe(path, metadata) is not None
        and isinstance(metadata.get("config", {}), Mapping)
        and isinstance(metadata.get("bn_eps", 0.0), float | int)
    )


def restore_state(path: Path, found: Mapping[str, Any], state: Mapping[str, Parameter | Tensor]) -> None:
    """Write the tensors of a checkpoint into those of a run, in place.

    Args:
        path: The file, for messages.
        found: Its tensors by name.
        state: The tensors of the run, as from `training_state`.

    Raises:
        UserError: If the two do not match; the message names the first difference.
    """
    remedy = "resume with the options that the run was started with"
    for name, parameter in state.items():
        if name not in found:
            raise UserError(f"{path}: lacks '{name}', which this run has: {remedy}")
        if found[name].shape != tuple(parameter.shape):
            shapes = f"has shape {found[name].shape}, and {tuple(parameter.shape)} in this run"
            raise UserError(f"{path}: '{name}' {shapes}: {remedy}")
    for name in found:
        if name not in state:
            raise UserError(f"{path}: holds '{name}', which this run lacks: {remedy}")
    for name, parameter in state.items():
        ops.assign(parameter, Tensor(found[name], parameter.dtype))


def check_steps(path: Path, then: int, now: int) -> None:
    """Refuse epochs of another length, in which the learning rates would not match the steps.

    Raises:
        UserError: If the two differ.
    """
    if then != now:
        raise UserError(
            f"{path}: an epoch had {then} batches, and has {now} now: resume with the same batch_size, "
            "dataset and number of processes"
        )


def different_options(
    then: Mapping[str, Any], now: Mapping[str, Any], *, ignored: Collection[str] = ()
) -> str:
    """Return the options whose values differ from those of the saved run, as one text; empty if none do.

    Args:
        then: Options of the saved run.
        now: Options of this run.
        ignored: Options that may differ, because they do not change what is computed.
    """
    changed = [key for key in now if key not in ignored and then.get(key, now[key]) != now[key]]
    return ", ".join(f"{key}={now[key]} (was {then[key]})" for key in changed)
