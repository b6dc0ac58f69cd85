"""Checkpoint files: written atomically, verified when read.

A file is an ordinary MindSpore checkpoint, which `mindspore.load_checkpoint` reads anywhere, in three parts::

    head    one record that names the format
    body    the tensors, and one record of JSON with everything else
    tail    one record with the SHA-256 of head and body

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
from mindcv.files.atomic import write_atomically
from mindcv.runtime.quiet import quiet_logging

__all__ = [
    "EMA_PREFIX",
    "OPTIMIZER",
    "STEP",
    "TRAINING_STATE",
    "Checkpoint",
    "read_checkpoint",
    "write_checkpoint",
    "write_file",
]

# Prefixes of the names of tensors that do not belong to the network: those of its EMA model, of the optimizer
# and of the train step. The last two are needed only to resume training.
EMA_PREFIX = "ema."
OPTIMIZER = "optimizer."
STEP = "step."
TRAINING_STATE = (OPTIMIZER, STEP)

_HEAD = "mindcv.checkpoint"
_VERSION = 1
_METADATA = "mindcv.metadata"
_CHECKSUM = "mindcv.sha256"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The content of a checkpoint file.

    Args:
        tensors: Arrays by name.
        metadata: Further values, JSON-serializable.
        has_checksum: Whether the file contains a checksum, which has been verified; MindCV's files have none.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any] = field(default_factory=dict)
    has_checksum: bool = True


def write_checkpoint(
    path: Path, tensors: Mapping[str, Parameter | Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write a checkpoint atomically: at any moment `path` is the complete old file or the complete new one.

    Args:
        path: File to write, ending in ``.ckpt``; its folder must exist.
        tensors: Parameters or tensors by name.
        metadata: Further values to store; must be JSON-serializable.

    Raises:
        UserError: If the file cannot be written, for example because the disk is full.
    """

    def content(partial: Path) -> bytes:
        head = _records(partial, {}, {_HEAD: _VERSION})
        body = _records(partial, tensors, {_METADATA: json.dumps(dict(metadata))})
        return head + body + _checksum_record(partial, head + body)

    write_file(path, content)


def write_file(path: Path, content: Callable[[Path], bytes]) -> None:
    """Write a file atomically: at any moment `path` is the complete old file or the complete new one.

    Args:
        path: File to write; its folder must exist.
        content: Returns the bytes to write; it may use the path that it receives for temporary files.

    Raises:
        UserError: If the file cannot be written, for example because the disk is full.
    """
    try:
        with write_atomically(path) as (partial,):
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
        UserError: If the file is missing, truncated, damaged, or not a checkpoint.
    """
    path = Path(path)
    content = _content(path)
    has_checksum = _HEAD.encode() in content[:64] or _CHECKSUM.encode() in content[-512:]
    if has_checksum:
        with tempfile.TemporaryDirectory() as folder:
            length = len(_checksum_record(Path(folder) / "checksum.ckpt", b""))
            if content[-length:] != _checksum_record(Path(folder) / "checksum.ckpt", content[:-length]):
                raise UserError(f"{path}: the checkpoint is truncated or damaged: use another one")
    try:
        with quiet_logging():
            records: dict[str, Any] = ms.load_checkpoint(str(path))
    except (ValueError, RuntimeError, TypeError, OSError, KeyError):
        raise UserError(f"{path}: not a MindSpore checkpoint, or damaged: check the file") from None
    tensors = {
        name: value.asnumpy()
        for name, value in records.items()
        if isinstance(value, Tensor) and name != _HEAD
    }
    return Checkpoint(
        tensors=tensors, metadata=json.loads(records.get(_METADATA, "{}")), has_checksum=has_checksum
    )


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
    """Return a complete checkpoint as bytes; MindSpore writes it to `path`, a temporary file."""
    records = [{"name": name, "data": value} for name, value in tensors.items()]
    with quiet_logging():
        ms.save_checkpoint(records, str(path), append_dict=dict(others))
    content = path.read_bytes()
    path.unlink()
    return content


def _checksum_record(path: Path, content: bytes) -> bytes:
    return _records(path, {}, {_CHECKSUM: hashlib.sha256(content).hexdigest()})
