"""Checkpoint files: written atomically, verified when read.

A file is an ordinary MindSpore checkpoint, which `mindspore.load_checkpoint` reads anywhere, in three parts::

    head    one record that names the format
    body    the tensors, and one record of JSON with everything else
    seal    one record with the SHA-256 of head and body

Records of a MindSpore checkpoint may simply follow each other (it is a repeated protobuf field), so the parts
are written by MindSpore and joined here. MindSpore's own CRC is not enough: a file cut between two records
passes it, because the CRC is cut off with them.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor

from mindcv.errors import UserError
from mindcv.files.atomic import whole_files
from mindcv.runtime.quiet import quiet_logging

__all__ = [
    "AVERAGE",
    "OPTIMIZER",
    "STEP",
    "TRAINING_STATE",
    "Checkpoint",
    "read_checkpoint",
    "write_checkpoint",
    "write_file",
]

# What stands before the names of tensors that are not the network's own: those of its moving average, of the
# optimizer and of the train step. The last two are of use to a training only.
AVERAGE = "ema."
OPTIMIZER = "optimizer."
STEP = "step."
TRAINING_STATE = (OPTIMIZER, STEP)

_HEAD = "mindcv.checkpoint"
_VERSION = 1
_METADATA = "mindcv.metadata"
_SEAL = "mindcv.sha256"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a checkpoint file holds.

    Args:
        tensors: Arrays by name.
        metadata: Whatever else belongs to them, as JSON can express it.
        sealed: Whether a checksum vouches for the file; MindCV's files have none.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any] = field(default_factory=dict)
    sealed: bool = True


def write_checkpoint(
    path: Path, tensors: Mapping[str, Parameter | Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write a checkpoint so that at any moment `path` holds the old file or the new one, whole.

    Args:
        path: File to write, ending in ``.ckpt``; its folder must exist.
        tensors: Parameters or tensors by name.
        metadata: What else to keep; JSON must be able to express it.

    Raises:
        UserError: If the file cannot be written, for example because the disk is full.
    """

    def content(partial: Path) -> bytes:
        head = _records(partial, {}, {_HEAD: _VERSION})
        body = _records(partial, tensors, {_METADATA: json.dumps(dict(metadata))})
        return head + body + _seal(partial, head + body)

    write_file(path, content)


def write_file(path: Path, content: Callable[[Path], bytes]) -> None:
    """Write a file so that at any moment `path` holds the old one or the new one, whole.

    Args:
        path: File to write; its folder must exist.
        content: Makes what to write; it may use the path that it is given for files of its own.

    Raises:
        UserError: If the file cannot be written, for example because the disk is full.
    """
    try:
        with whole_files(path) as (partial,):
            partial.write_bytes(content(partial))
    except OSError as error:
        raise UserError(
            f"{path}: the checkpoint cannot be written ({error.strerror}): free or change the folder"
        ) from error


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint of this project or any other MindSpore checkpoint.

    Args:
        path: A file ending in ``.ckpt``.

    Raises:
        UserError: If the file is missing, no checkpoint, truncated or altered.
    """
    path = Path(path)
    content = _content(path)
    sealed = _HEAD.encode() in content[:64] or _SEAL.encode() in content[-512:]
    if sealed:
        with tempfile.TemporaryDirectory() as folder:
            length = len(_seal(Path(folder) / "seal.ckpt", b""))
            if content[-length:] != _seal(Path(folder) / "seal.ckpt", content[:-length]):
                raise UserError(f"{path}: the checkpoint is truncated or damaged: use another one")
    try:
        with quiet_logging():
            records: dict[str, Any] = ms.load_checkpoint(str(path))
    except (ValueError, RuntimeError, TypeError, OSError, KeyError):
        raise UserError(f"{path}: no MindSpore checkpoint, or a damaged one: check the file") from None
    tensors = {
        name: value.asnumpy()
        for name, value in records.items()
        if isinstance(value, Tensor) and name != _HEAD
    }
    return Checkpoint(tensors=tensors, metadata=json.loads(records.get(_METADATA, "{}")), sealed=sealed)


def _content(path: Path) -> bytes:
    if path.suffix != ".ckpt":
        raise UserError(f"{path}: a MindSpore checkpoint ends in .ckpt: give such a file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint: check the path") from None
    except OSError as error:
        raise UserError(f"{path}: the checkpoint cannot be read ({error.strerror}): check the path") from None
    if not content:
        raise UserError(f"{path}: the checkpoint is empty: use another one")
    return content


def _records(path: Path, tensors: Mapping[str, Tensor], others: Mapping[str, str | int]) -> bytes:
    """A checkpoint of its own, as bytes; `path` is only where MindSpore writes it."""
    records = [{"name": name, "data": value} for name, value in tensors.items()]
    with quiet_logging():
        ms.save_checkpoint(records, str(path), append_dict=dict(others))
    content = path.read_bytes()
    path.unlink()
    return content


def _seal(path: Path, content: bytes) -> bytes:
    return _records(path, {}, {_SEAL: hashlib.sha256(content).hexdigest()})
