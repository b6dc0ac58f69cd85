"""The checksum of a checkpoint file, as records of its own.

A file with it has three parts::

    head    one record that names the format
    body    the records of an ordinary checkpoint
    tail    one record with the SHA-256 of head and body

Records of a MindSpore checkpoint may simply follow each other (it is a repeated protobuf field), so such a
file is a MindSpore checkpoint too. MindSpore's own CRC is not enough: a file cut between two records passes
it, because the CRC is cut off with them.
"""

import hashlib
from pathlib import Path
from typing import Literal

from mindcv.errors import UserError
from mindcv.files.file_content import read_content
from mindcv.files.mindspore_records import TEXT, Record, RecordError, encode_record, read_records, without_crc

__all__ = ["HEAD", "METADATA", "Protection", "open_checkpoint", "with_checksum_record"]

HEAD = "mindcv.checkpoint"
METADATA = "mindcv.metadata"
_CHECKSUM = "mindcv.sha256"
_VERSION = 1
_OURS = (HEAD, METADATA, _CHECKSUM)

# What finds damage to the bytes of a file: our SHA-256, MindSpore's CRC-32, or nothing.
Protection = Literal["sha256", "crc"] | None


def with_checksum_record(body: bytes) -> bytes:
    """Return a checkpoint as a file of this project, with its checksum.

    Args:
        body: Records of a MindSpore checkpoint, without its CRC.
    """
    head = encode_record(HEAD, "Int64", [], _VERSION.to_bytes(8, "little"))
    return head + body + _tail(head + body)


def open_checkpoint(path: Path) -> tuple[dict[str, Record], Protection]:
    """Read the records of a checkpoint, and verify its checksum if it has one.

    Args:
        path: A file ending in ``.ckpt``.

    Returns:
        Its records by name, and what has been verified.

    Raises:
        UserError: If the file is missing, truncated, damaged, or not a checkpoint.
    """
    if path.suffix != ".ckpt":
        raise UserError(f"{path}: a MindSpore checkpoint ends in .ckpt: give such a file")
    content = read_content(path, "checkpoint")
    is_ours = HEAD.encode() in content[:64] or _CHECKSUM.encode() in content[-512:]
    length = len(_tail(b""))
    if is_ours and content[-length:] != _tail(content[:-length]):
        raise _damaged(path)
    has_crc = False
    try:
        if not is_ours:
            content, has_crc = without_crc(content)
        records = read_records(content)
    except RecordError as error:
        raise UserError(f"{path}: not a MindSpore checkpoint, or damaged ({error}): check the file") from None
    if not is_ours and any(name in records for name in _OURS):
        raise _damaged(path)  # both ends have been cut off or changed
    if any(record.type != TEXT for name, record in records.items() if name in (METADATA, _CHECKSUM)):
        raise _damaged(path)
    return records, "sha256" if is_ours else "crc" if has_crc else None


def _damaged(path: Path) -> UserError:
    return UserError(f"{path}: the checkpoint is truncated or damaged: use another one")


def _tail(content: bytes) -> bytes:
    return encode_record(_CHECKSUM, TEXT, [0], hashlib.sha256(content).hexdigest().encode("utf-32-le"))
