"""Going on with a run: find its newest state, and put it back into network, optimizer and step."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mindspore import Parameter, Tensor, ops

from mindcv.engine.checkpoint import checkpoint_files
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import Checkpoint, read_checkpoint

__all__ = ["check_steps", "different_options", "find_state", "read_state", "restore_state"]

logger = logging.getLogger(__name__)


def find_state(folder: str | Path, name: str) -> tuple[Path, Checkpoint] | None:
    """The newest checkpoint of a run that is whole, with its path.

    One that is damaged is passed over with a warning.

    Args:
        folder: Where the run has saved.
        name: Start of its files' names.

    Returns:
        None if there is no checkpoint at all.

    Raises:
        UserError: There are checkpoints, and none of them can be used.
    """
    files = checkpoint_files(Path(folder), name)
    for path in sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            return path, read_state(path)
        except UserError as error:
            logger.warning("%s; the one before it is tried", error)
    if files:
        raise UserError(f"resume=auto: no checkpoint in {folder} can be used: empty it to start afresh")
    return None


def read_state(path: str | Path) -> Checkpoint:
    """Read a checkpoint from which a run can go on.

    Raises:
        UserError: If it cannot be read, or holds weights only.
    """
    checkpoint = read_checkpoint(path)
    if "progress" not in checkpoint.metadata:
        raise UserError(
            f"{path}: holds no state of a training: give it as ckpt_path, which loads the weights"
        )
    return checkpoint


def restore_state(path: Path, found: Mapping[str, Any], state: Mapping[str, Parameter | Tensor]) -> None:
    """Write the tensors of a checkpoint into those of a run, in place.

    Args:
        path: The file, for messages.
        found: What it holds, by name.
        state: What `training_state` returns.

    Raises:
        UserError: If the two do not match; the message names the first difference.
    """
    remedy = "resume with the options that the run was started with"
    for name, parameter in state.items():
        if name not in found:
            raise UserError(f"{path}: holds no '{name}', which this run has: {remedy}")
        if found[name].shape != tuple(parameter.shape):
            shapes = f"has shape {found[name].shape}, and {tuple(parameter.shape)} in this run"
            raise UserError(f"{path}: '{name}' {shapes}: {remedy}")
    for name in found:
        if name not in state:
            raise UserError(f"{path}: holds '{name}', which this run has not: {remedy}")
    for name, parameter in state.items():
        ops.assign(parameter, Tensor(found[name], parameter.dtype))


def check_steps(path: Path, then: int, now: int) -> None:
    """Refuse to go on with epochs of another length, where learning rates would belong to other steps."""
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
