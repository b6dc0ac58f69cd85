"""Resume a run after a stop, and return it to its newest checkpoint after a loss that is not finite."""

import dataclasses
import itertools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor

from mindcv.config import Config, options_in_scope
from mindcv.data import Pipeline
from mindcv.engine import CheckpointManager, RunPosition
from mindcv.engine.callbacks import Rollback
from mindcv.engine.resume import check_steps, different_options, find_state, read_state, restore_state
from mindcv.engine.run_files import refuse_earlier_run
from mindcv.errors import NotFiniteError
from mindcv.files.checkpoint_file import Checkpoint
from mindcv.files.folder_lock import FolderLock
from mindcv.models.registry import find_model
from mindcv.runtime.collectives import broadcast_parameters
from mindcv.runtime.session import Runtime

__all__ = ["Found", "build_rollback", "find_resumed", "locked_folder", "restore_run", "resumed_options"]

Found = tuple[Path, Checkpoint]  # a checkpoint's path and its content

logger = logging.getLogger("mindcv.build")


@contextmanager
def locked_folder(config: Config, runtime: Runtime) -> Iterator[None]:
    """Lock `ckpt_save_dir` on the first rank, if it exists, before the run's state is read from it.

    Its `CheckpointManager` acquires the same lock again, and keeps it while it trains.

    Raises:
        UserError: If another run uses the folder.
    """
    lock = FolderLock(config.checkpoint.folder)
    if runtime.is_main and lock.folder.is_dir():
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def find_resumed(config: Config, runtime: Runtime) -> Found | None:
    """Return the checkpoint that a run resumes from; None if it starts, and on all ranks but the first.

    Raises:
        UserError: If the checkpoint cannot be used, or a run that starts would mix its files with another's.
    """
    resume, folder = config.recovery.resume, config.checkpoint.folder
    if not runtime.is_main:
        return None
    model = find_model(config.model.model_name)
    if not resume:
        refuse_earlier_run(Path(folder), model.name, *model.aliases)
        return None
    if resume != "auto":
        return Path(resume), read_state(resume)
    found = find_state(folder, model.name, *model.aliases)
    if found is None:
        logger.info("resume=auto: no checkpoint in %s, the run starts", folder)
    return found


def resumed_options(found: Found | None, runtime: Runtime) -> dict[str, Any]:
    """Return the options that the resumed network was built with: ``bn_eps`` and ``padding``, if stored.

    A run may have taken them from a file of weights, which the options of the resumed run do not name.

    Args:
        found: From `find_resumed`, on the first rank.
        runtime: This process; all of them receive the same options.
    """
    metadata, numbers = {} if found is None else found[1].metadata, np.zeros(2)
    if "bn_eps" in metadata:
        numbers[:] = metadata["bn_eps"], metadata["padding"] == "same"
    eps, same = runtime.sum_over_ranks(numbers)
    return {"bn_eps": float(eps), "padding": "same" if same else "symmetric"} if eps else {}


def restore_run(
    config: Config,
    found: Found | None,
    state: Mapping[str, Parameter | Tensor],
    steps_per_epoch: int,
    checkpoints: CheckpointManager | None,
    runtime: Runtime,
) -> RunPosition:
    """Restore the state of a resumed run, and return its position; rank 0 reads it and broadcasts it.

    Args:
        config: Options.
        found: The checkpoint to resume from, see `find_resumed`.
        state: The tensors of the run, as from `training_state`.
        steps_per_epoch: Batches per epoch.
        checkpoints: The writer of the run's checkpoints, which adopts its files; None on the other ranks.
        runtime: This process.
    """
    position = RunPosition()
    if not config.recovery.resume:
        return position
    if found is not None and checkpoints is not None:
        position = _restored(found, state, steps_per_epoch, checkpoints)
        changed = different_options(
            found[1].metadata.get("config", {}), config.options(), ignored=options_in_scope("run")
        )
        if changed:
            logger.warning("resumes with other options: %s", changed)
    return _shared(position, state, runtime)


def build_rollback(
    config: Config,
    state: Mapping[str, Parameter | Tensor],
    data: Pipeline,
    checkpoints: CheckpointManager | None,
    runtime: Runtime,
) -> Rollback | None:
    """Return a function that restores the newest checkpoint when a loss is not finite; see `restore_run`.

    None with `on_nan=stop`.
    """
    if config.recovery.on_nan == "stop":
        return None
    tries = itertools.count(1)

    def roll_back(error: NotFiniteError) -> tuple[RunPosition, Pipeline]:
        number, position = next(tries), RunPosition()
        if checkpoints is not None:
            found = _newest(checkpoints)
            if found is None:
                raise error
            logger.warning("%s", error)
            position = _restored(found, state, data.steps_per_epoch, checkpoints)
        # The same images in the same order would lead to the same loss.
        return _shared(position, state, runtime), dataclasses.replace(data, seed=data.seed + number)

    return roll_back


def _newest(checkpoints: CheckpointManager) -> Found | None:
    return find_state(checkpoints.folder, *checkpoints.names)


def _shared(position: RunPosition, state: Mapping[str, Parameter | Tensor], runtime: Runtime) -> RunPosition:
    """Broadcast rank 0's tensors, and return its position, on all ranks."""
    if runtime.world_size > 1:
        position = position.shared(runtime.sum_over_ranks)
        broadcast_parameters(state.values())
    return position


def _restored(
    found: Found,
    state: Mapping[str, Parameter | Tensor],
    steps_per_epoch: int,
    checkpoints: CheckpointManager,
) -> RunPosition:
    path, checkpoint = found
    position = RunPosition.from_metadata(checkpoint.metadata["progress"])
    check_steps(path, position.steps_per_epoch, steps_per_epoch)
    restore_state(path, checkpoint.tensors, state)
    checkpoints.restore(checkpoint.metadata, path)
    logger.info("resumes from %s, after epoch %d and %d batches", path, position.epoch, position.batch)
    return position
