"""Checkpoint files: written atomically, verified when read.

A file is an ordinary MindSpore checkpoint, which `mindspore.load_checkpoint` reads anywhere. Its tensors are
followed by a record of JSON with everything else, and `mindcv.files.checkpoint_checksum` adds the checksum.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor
from mindspore.common import np_dtype

from mindcv.errors import UserError
from mindcv.files.atomic import write_atomically
from mindcv.files.checkpoint_checksum import HEAD, METADATA, open_checkpoint, with_checksum_record
from mindcv.files.mindspore_records import TEXT, Record
from mindcv.files.protection import tell_unprotected
from mindcv.files.stored_metadata import parse_metadata
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
        return with_checksum_record(_records(partial, tensors, {METADATA: json.dumps(dict(metadata))}))

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

    MindSpore's reader is not used, because it trusts the file: see `mindcv.files.mindspore_records`.

    Args:
        path: A file ending in ``.ckpt``.

    Raises:
        UserError: If the file is missing, truncated, damaged, or not a checkpoint.
    """
    path = Path(path)
    records, protection = open_checkpoint(path)
    tensors = {name: _array(record) for name, record in records.items() if record.type != TEXT}
    tensors.pop(HEAD, None)
    text = records[METADATA].text() if METADATA in records else "{}"
    if protection is None:
        tell_unprotected(path)
    return Checkpoint(
        tensors=tensors,
        metadata=parse_metadata(path, text, METADATA),
        has_checksum=protection == "sha256",
    )


def _array(record: Record) -> np.ndarray:
    array = record.array()
    return array.view(np_dtype.bfloat16) if record.type == "BFloat16" else array


def _records(path: Path, tensors: Mapping[str, Tensor], others: Mapping[str, str]) -> bytes:
    """Return a complete checkpoint as bytes; MindSpore writes it to `path`, a temporary file."""
    records = [{"name": name, "data": value} for name, value in tensors.items()]
    with quiet_logging():
        ms.save_checkpoint(records, str(path), append_dict=dict(others))
    content = path.read_bytes()
    path.unlink()
    return content
