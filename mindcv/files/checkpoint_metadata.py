"""The metadata of a checkpoint, read without its tensors.

A MindSpore checkpoint is a protobuf message of repeated records, each with its length in front, so that the
tensors can be skipped. Reading all of ten checkpoints would take seconds.
"""

import json
from pathlib import Path
from typing import IO, Any

from mindcv.files.checkpoint_file import read_checkpoint

__all__ = ["read_metadata"]

METADATA = b"mindcv.metadata"  # the record that `write_checkpoint` writes
LONGEST = 1 << 26  # bytes of metadata; those of a run of 450 epochs on ImageNet have 1 MB
MOST_RECORDS = 100_000
RECORD, NAME, TENSOR, TYPE, CONTENT = b"\x0a", b"\x0a", b"\x12", b"\x12", b"\x1a"  # protobuf's keys


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a checkpoint; empty if it has none, such as one of MindCV.

    Its checksum is not verified: only what is harmless may be decided by it.

    Args:
        path: A file ending in ``.ckpt``.

    Raises:
        UserError: If the file is missing, or not a checkpoint.
    """
    try:
        text = None
        if path.is_file():  # a pipe would be waited for
            with path.open("rb") as file:
                text = _metadata_text(file)
        metadata = None if text is None else json.loads(text)
    except (OSError, ValueError, RecursionError):
        metadata = None
    # An unknown form is left to the complete reader, which knows how to refuse it.
    return metadata if isinstance(metadata, dict) else read_checkpoint(path).metadata


def _metadata_text(file: IO[bytes]) -> str | None:
    """Return the JSON text in the record of the metadata; None if there is no such record."""
    for _ in range(MOST_RECORDS):
        if file.read(1) != RECORD:
            return None
        length = _number(file)
        end = file.tell() + length
        if file.read(1) != NAME:
            return None
        name = file.read(min(_number(file), 1000))
        if name == METADATA:
            return _text(file, length)
        file.seek(end)
    return None


def _text(file: IO[bytes], length: int) -> str | None:
    """Return a record's text: MindSpore writes strings as tensors of characters of four bytes."""
    if length > LONGEST or file.read(1) != TENSOR:
        return None
    end = _number(file) + file.tell()
    kind = content = b""
    while file.tell() < end:
        match file.read(1):
            case b"\x08":  # a dimension
                _number(file)
            case key if key in (TYPE, CONTENT):
                value = file.read(min(_number(file), LONGEST))
                kind, content = (value, content) if key == TYPE else (kind, value)
            case _:
                return None
    return content.decode("utf-32-le") if kind == b"str" else None


def _number(file: IO[bytes]) -> int:
    """Read a number of seven bits per byte, the lowest first."""
    number = 0
    for shift in range(0, 64, 7):
        (byte,) = file.read(1) or b"\x00"
        number |= (byte & 127) << shift
        if byte < 128:
            return number
    raise ValueError("a number of more than 64 bits")
