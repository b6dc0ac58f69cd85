"""The number of data workers as part of a run's state: MindSpore's random operators draw per worker."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mindcv.config import Config
from mindcv.data import Pipeline
from mindcv.errors import UserError
from mindcv.runtime.session import Runtime

__all__ = ["with_resumed_workers", "workers_of_ranks"]


def workers_of_ranks(data: Pipeline, runtime: Runtime) -> list[int]:
    """Return the number of workers of each rank, for a checkpoint's metadata; call it on all ranks."""
    numbers = np.zeros(runtime.world_size)
    numbers[runtime.rank] = data.workers
    return [int(number) for number in runtime.sum_over_ranks(numbers)]


def with_resumed_workers(
    config: Config, path: Path | None, metadata: Mapping[str, Any], data: Pipeline, runtime: Runtime
) -> Pipeline:
    """Return the training images with the workers of the run that is resumed.

    A file without their number, another number of ranks, or another value of `num_parallel_workers`, which
    resuming reports, leaves the images as they are. Call it on all ranks.

    Args:
        config: Options.
        path: The checkpoint, on the first rank.
        metadata: Its metadata.
        data: Training images.
        runtime: This process.

    Raises:
        UserError: If the stored numbers are not numbers of workers.
    """
    stored, numbers = metadata.get("workers", []), np.zeros(runtime.world_size)
    if not isinstance(stored, list) or not all(type(number) is int and number > 0 for number in stored):
        raise UserError(f"{path}: its list of workers is damaged: use another file")
    asked = config.data.num_parallel_workers
    if len(stored) == runtime.world_size and metadata.get("config", {}).get("num_parallel_workers") == asked:
        numbers[:] = stored
    workers = int(runtime.sum_over_ranks(numbers)[runtime.rank])
    return dataclasses.replace(data, resumed_workers=workers) if workers else data
