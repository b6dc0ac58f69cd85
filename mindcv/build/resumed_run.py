"""Where a run goes on: after a stop, and after a loss that is not finite."""

import dataclasses
import itertools
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor

from mindcv.config import Config, options_in_scope
from mindcv.data import Pipeline
from mindcv.engine import CheckpointManager, History, Progress
from mindcv.engine.resume import check_steps, different_options, find_state, read_state, restore_state
from mindcv.errors import NotFiniteError
from mindcv.files.checkpoint_file import Checkpoint
from mindcv.runtime.collectives import broadcast_parameters
from mindcv.runtime.session import Runtime

__all__ = ["Found", "build_progress", "build_rollback", "find_resumed", "resumed_options"]

Found = tuple[Path, Checkpoint]  # a run's file, and what it holds

logger = logging.getLogger("mindcv.build")

ROLLBACKS = 3


def find_resumed(config: Config, runtime: Runtime) -> Found | None:
    """The checkpoint that a training goes on with; None where it starts, and on all ranks but the first."""
    resume, folder = config.recovery.resume, config.checkpoint.folder
    if not resume or not runtime.is_main:
        return None
    if resume != "auto":
        return Path(resume), read_state(resume)
    found = find_state(folder, config.model.model_name)
    if found is None:
        logger.info("resume=auto: no checkpoint in %s, the run starts", folder)
    return found


def resumed_options(found: Found | None, runtime: Runtime) -> dict[str, Any]:
    """How the network was built whose training goes on: ``bn_eps`` and ``padding``, where its file says so.

    A run may have taken them from a file of weights, which the options of its continuation do not name.

    Args:
        found: From `find_resumed`, on the first rank.
        runtime: This process; all of them get the same.
    """
    metadata, numbers = {} if found is None else found[1].metadata, np.zeros(2)
    if "bn_eps" in metadata:
        numbers[:] = metadata["bn_eps"], metadata["padding"] == "same"
    eps, same = runtime.sum_over_ranks(numbers)
    return {"bn_eps": float(eps), "padding": "same" if same else "symmetric"} if eps else {}


def build_progress(
    config: Config,
    found: Found | None,
    state: Mapping[str, Parameter | Tensor],
    steps_per_epoch: int,
    checkpoints: CheckpointManager | None,
    history: History | None,
    runtime: Runtime,
) -> Progress:
    """Where the run goes on, with everything put back into place; rank 0 reads, the others get it from there.

    Args:
        config: Options.
        found: What to go on with, from `find_resumed`.
        state: The tensors of the run, as from `training_state`.
        steps_per_epoch: Batches in an epoch.
        checkpoints: Goes on with the files of the run; None on the other ranks.
        history: Goes on with its epochs; None on the other ranks.
        runtime: This process.
    """
    place = Progress()
    if not config.recovery.resume:
        if checkpoints is not None:
            checkpoints.warn_of_earlier_run()
        return place
    if found is not None and checkpoints is not None and history is not None:
        place = _taken_up(found, state, steps_per_epoch, checkpoints, history)
        changed = different_options(
            found[1].metadata["config"], config.options(), ignored=options_in_scope("run")
        )
        if changed:
            logger.warning("goes on with other options: %s", changed)
    return _shared(place, state, runtime)


def build_rollback(
    config: Config,
    state: Mapping[str, Parameter | Tensor],
    data: Pipeline,
    checkpoints: CheckpointManager | None,
    history: History | None,
    runtime: Runtime,
) -> Callable[[NotFiniteError], tuple[Progress, Pipeline]] | None:
    """What puts the newest checkpoint back into place when a loss is not finite; see `build_progress`."""
    if config.recovery.on_nan == "stop":
        return None
    tries = itertools.count(1)

    def roll_back(error: NotFiniteError) -> tuple[Progress, Pipeline]:
        number, place = next(tries), Progress()
        if checkpoints is not None and history is not None:
            found = _newest(checkpoints) if number <= ROLLBACKS else None
            if found is None:
                raise error
            logger.warning("%s", error)
            place = _taken_up(found, state, data.steps_per_epoch, checkpoints, history)
        # The same images in the same order would end where they have ended.
        return _shared(place, state, runtime), dataclasses.replace(data, seed=data.seed + number)

    return roll_back


def _newest(checkpoints: CheckpointManager) -> Found | None:
    return find_state(checkpoints.folder, checkpoints.name)


def _shared(place: Progress, state: Mapping[str, Parameter | Tensor], runtime: Runtime) -> Progress:
    """Rank 0's place and tensors, on all ranks."""
    if runtime.world_size > 1:
        place = place.shared(runtime.sum_over_ranks)
        broadcast_parameters(state.values())
    return place


def _taken_up(
    found: Found,
    state: Mapping[str, Parameter | Tensor],
    steps_per_epoch: int,
    checkpoints: CheckpointManager,
    history: History,
) -> Progress:
    path, checkpoint = found
    place = Progress.from_metadata(checkpoint.metadata["progress"])
    check_steps(path, place.steps_per_epoch, steps_per_epoch)
    restore_state(path, checkpoint.tensors, state)
    checkpoints.restore(checkpoint.metadata)
    history.restore(place.results)
    logger.info("goes on with %s, after epoch %d and %d batches", path, place.epoch, place.batch)
    return place
