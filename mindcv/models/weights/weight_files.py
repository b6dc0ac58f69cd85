"""Weight files, as NumPy arrays by name: MindSpore checkpoints, safetensors, and PyTorch's."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy
from mindspore import Tensor

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import EMA_PREFIX, read_checkpoint, write_checkpoint, write_file
from mindcv.files.protection import ONCE
from mindcv.files.safetensors_file import read_safetensors, with_checksum
from mindcv.files.stored_metadata import parse_metadata
from mindcv.models.weights.layouts import WeightLayout, without_prefix
from mindcv.models.weights.torch_files import read_torch, torch_bytes

__all__ = ["WeightFile", "file_kind", "read_weights", "write_weights"]

logger = logging.getLogger(__name__)

Kind = Literal["ckpt", "safetensors", "torch"]

_SUFFIXES: dict[str, Kind] = {
    ".ckpt": "ckpt",
    ".safetensors": "safetensors",
    ".pth": "torch",
    ".pt": "torch",
    ".bin": "torch",
    ".pth.tar": "torch",
}

# The key of our metadata in a safetensors file, whose metadata values are strings.
_OURS = "mindcv"


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """The content of a weight file.

    Args:
        path: The file.
        tensors: Arrays by the file's own names; every float is float32. The names of an EMA model's weights
            start with ``ema.``.
        metadata: Metadata of the file, by this project's keys: ``model``, ``bn_eps``, ``padding``,
            ``config``, ``classes``. Empty for files from elsewhere.
    """

    path: Path
    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any] = field(default_factory=dict)


def file_kind(path: str | Path) -> Kind:
    """Return the format of a file by its extension.

    Raises:
        UserError: If the extension is unknown.
    """
    name = Path(path).name
    for suffix, kind in _SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    raise UserError(
        f"{path}: unknown kind of file: the names of files of weights end in {', '.join(_SUFFIXES)}"
    )


def read_weights(path: str | Path) -> WeightFile:
    """Read a weight file: a MindSpore checkpoint, safetensors or PyTorch's, depending on its extension.

    Other floating-point types are converted to float32, with a log message. The ``module.`` before the names
    of PyTorch's DataParallel is removed. PyTorch's files need torch, and are read without running code from
    them.

    Args:
        path: The file.

    Raises:
        UserError: If it is missing, empty, damaged, unsafe to read, or its extension does not match.
    """
    path, kind = Path(path), file_kind(path)
    if kind == "ckpt":
        found = _read_mindspore(path)
    elif kind == "safetensors":
        found = _read_safetensors(path)
    else:
        found = _read_torch(path)
    if not found.tensors:
        raise UserError(f"{path}: has no tensors: use another file")
    if found.types - {"float32"}:
        types = " and ".join(sorted(found.types - {"float32"}))
        logger.info("%s: its %s becomes float32", path, types, extra={ONCE: f"{path} is {types}"})
    tensors = {
        name: value.astype(np.float32, copy=False) if np.issubdtype(value.dtype, np.floating) else value
        for name, value in found.tensors.items()
    }
    return WeightFile(path=path, tensors=tensors, metadata=found.metadata)


def write_weights(
    path: str | Path,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    *,
    layout: WeightLayout | None = None,
) -> None:
    """Write a weight file atomically, in the format of its extension.

    Args:
        path: The file; its folder must exist.
        tensors: Arrays by a library's names, see `mindcv.models.weights.layouts.in_layout`.
        metadata: Metadata to store, as in `WeightFile`; must be JSON-serializable.
        layout: Whose names the tensors have; by default MindCV's.

    Raises:
        UserError: If the file cannot be written, or its format needs torch, which is missing.
    """
    path, kind = Path(path), file_kind(path)
    if kind == "ckpt":
        write_checkpoint(path, {name: Tensor(value) for name, value in tensors.items()}, metadata)
        return
    text = json.dumps(dict(metadata))
    if kind == "torch":
        content = torch_bytes(path, tensors, text, version=1 if layout is None else layout.version)
    else:
        ordered = {name: np.array(value, order="C") for name, value in tensors.items()}
        origin = "np" if layout is None or layout.library == "mindcv" else "pt"
        content = with_checksum(
            path, safetensors.numpy.save(ordered, metadata={"format": origin, _OURS: text})
        )
    write_file(path, lambda _: content)


@dataclass(frozen=True, kw_only=True)
class _Content:
    tensors: dict[str, np.ndarray]
    types: set[str]  # floating-point types in the file
    metadata: dict[str, Any]


def _read_mindspore(path: Path) -> _Content:
    checkpoint = read_checkpoint(path)
    tensors, types = {}, set()
    for name, value in checkpoint.tensors.items():
        half = value.dtype.name == "bfloat16"  # which np.issubdtype does not count among the floats
        tensors[name] = value.astype(np.float32) if half else value
        if half or np.issubdtype(value.dtype, np.floating):
            types.add(value.dtype.name)
    return _Content(tensors=tensors, types=types, metadata=checkpoint.metadata)


def _read_safetensors(path: Path) -> _Content:
    file = read_safetensors(path)
    tensors, types = {name: file.array(name) for name in file.header}, set()
    for name, entry in file.header.items():
        if np.issubdtype(tensors[name].dtype, np.floating):
            types.add("bfloat16" if entry["dtype"] == "BF16" else tensors[name].dtype.name)
    metadata = parse_metadata(path, file.metadata.get(_OURS, "{}"), _OURS)
    return _Content(tensors=without_prefix(tensors), types=types, metadata=metadata)


def _read_torch(path: Path) -> _Content:
    found = read_torch(path)
    ema = {f"{EMA_PREFIX}{name}": value for name, value in without_prefix(found.ema).items()}
    return _Content(
        tensors={**without_prefix(found.weights), **ema},
        types=found.types,
        metadata=parse_metadata(path, found.metadata, _OURS),
    )
