"""The average of several checkpoints' weights, which often scores higher than each of them."""

import json
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import TRAINING_STATE, read_checkpoint
from mindcv.files.inputs import files_ending

__all__ = ["average_checkpoints", "select_checkpoints"]

BUILT = ("bn_eps", "padding")
KEPT = ("run", "config", "classes", *BUILT)


def average_checkpoints(paths: Sequence[str | Path]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Average weights and statistics of batch normalisation, each tensor with those of its own name.

    The sum is float64 and the result float32, so that equal files average to themselves. The optimizer's
    state and tensors of integers, such as a count of steps, are excluded. Weights of one run average well;
    those of different runs do not, because their units have different meanings.

    Args:
        paths: Checkpoint files; one is read at a time.

    Returns:
        Tensors by name, and metadata: ``averaged`` with the names of the files, and the first file's
        ``run``, ``config``, ``classes``, ``bn_eps`` and ``padding``.

    Raises:
        UserError: If a file cannot be read, is duplicated, or differs in names, shapes, classes, epsilon,
            padding or run from the first one.
    """
    if not paths:
        raise UserError("there is nothing to average: give one or more checkpoints")
    files = [Path(path) for path in paths]
    sums: dict[str, np.ndarray] = {}
    metadata: dict[str, Any] = {}
    for i, path in enumerate(files):
        if path.resolve() in {other.resolve() for other in files[:i]}:
            raise UserError(f"{path}: the checkpoint is duplicated: give each one once")
        tensors, its_metadata = _weights(path)
        if i == 0:
            sums = {name: value.astype(np.float64) for name, value in tensors.items()}
            metadata = {key: its_metadata[key] for key in KEPT if key in its_metadata}
            continue
        _check_same(path, tensors, its_metadata, files[0], sums, metadata)
        for name, total in sums.items():
            total += tensors[name]
    averages = {name: Tensor((total / len(files)).astype(np.float32)) for name, total in sums.items()}
    return averages, {**metadata, "averaged": [str(path) for path in files]}


def _weights(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    checkpoint = read_checkpoint(path)
    tensors = {
        name: value
        for name, value in checkpoint.tensors.items()
        if not name.startswith(TRAINING_STATE) and np.issubdtype(value.dtype, np.floating)
    }
    if not tensors:
        raise UserError(f"{path}: the checkpoint lacks weights: leave it out")
    return tensors, checkpoint.metadata


def _check_same(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    first: Path,
    wanted: Mapping[str, np.ndarray],
    first_metadata: Mapping[str, Any],
) -> None:
    """Refuse a file that does not match the first one, and name the first difference."""
    if metadata.get("run") != first_metadata.get("run"):
        raise UserError(f"{path}: is of another training run than {first}: average checkpoints of one run")
    remedy = "average checkpoints of one model"
    for name, value in wanted.items():
        if name not in tensors:
            raise UserError(f"{path}: lacks '{name}', which {first} has: {remedy}")
        if tensors[name].shape != value.shape:
            raise UserError(
                f"{path}: '{name}' has shape {tensors[name].shape}, and {value.shape} in {first}: {remedy}"
            )
    for name in tensors:
        if name not in wanted:
            raise UserError(f"{path}: holds '{name}', which {first} lacks: {remedy}")
    for key in BUILT:
        its, firsts = metadata.get(key), first_metadata.get(key)
        if its != firsts:
            raise UserError(f"{path}: was made with {key}={its}, and {first} with {firsts}: {remedy}")
    classes, first_classes = metadata.get("classes"), first_metadata.get("classes")
    if classes and first_classes and classes != first_classes:
        raise UserError(f"{path}: its classes are not those of {first}: average checkpoints of one dataset")


def select_checkpoints(folder: str | Path, *, last: int | None = None, best: int | None = None) -> list[Path]:
    """Select checkpoints of a training run in a folder, by their metadata.

    A file without an epoch, such as an average, is skipped, and so are one from within an epoch and the copy
    of the best epoch where the epoch has a numbered file too.

    Args:
        folder: The run's ``ckpt_save_dir``.
        last: Select this many of the latest epochs.
        best: Select this many of the highest top-1 accuracies; an epoch without a validation ranks last, and
            of equal ones the latest comes first.

    Returns:
        The files, the latest or the best first.

    Raises:
        UserError: If the folder has too few checkpoints, or not exactly one of `last` and `best` is given.
    """
    if (last is None) == (best is None):
        raise UserError("--folder needs either --last K or --best K: give one of them")
    wanted = f"--last {last}" if best is None else f"--best {best}"
    count = last if best is None else best
    found = _epochs_in(Path(folder))
    if not found:
        raise UserError(f"{folder}: lacks checkpoints of a training run: give its ckpt_save_dir")
    if not 1 <= (count or 0) <= len(found):
        raise UserError(f"{wanted}: {folder} has {len(found)} checkpoints: give 1 to {len(found)}")
    key = _epoch if best is None else _score
    return sorted(found, key=lambda path: key(found[path]), reverse=True)[:count]


def _epochs_in(folder: Path) -> dict[Path, dict[str, Any]]:
    """Return the metadata of one file per epoch and run; a numbered file precedes the best copy."""
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path in files_ending(folder, ".ckpt"):
        metadata = read_checkpoint(path).metadata
        within_epoch = metadata.get("progress", {}).get("batch", 0) > 0
        if "epoch" in metadata and not within_epoch:
            same = json.dumps([metadata["epoch"], *map(metadata.get, ("step", "run", "config"))])
            found.setdefault(same, (path, metadata))
    return dict(found.values())


def _epoch(metadata: Mapping[str, Any]) -> tuple[float, ...]:
    return (metadata["epoch"],)


def _score(metadata: Mapping[str, Any]) -> tuple[float, ...]:
    top1 = metadata.get("top1")
    return (float("-inf") if top1 is None or isnan(top1) else top1, metadata["epoch"])
