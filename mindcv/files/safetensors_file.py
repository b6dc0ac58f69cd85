"""Safetensors files, read strictly, and with a checksum that any reader of the format can ignore.

A file is the length of a header (8 bytes), the header, a JSON object with type, shape and position of each
tensor and a mapping ``__metadata__`` of texts, and the bytes of the tensors without a gap.

The checksum is a SHA-256 in the metadata, over the other metadata and, in the order of their names, over
names, types, shapes and bytes of the tensors. How the header is written does not matter to it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindcv.errors import UserError
from mindcv.files.file_content import read_content
from mindcv.files.protection import tell_unprotected
from mindcv.files.tensor_shapes import check_booleans, check_length

__all__ = ["SafetensorsFile", "parse_safetensors", "read_safetensors", "with_checksum"]

# Types by their names in the format. NumPy lacks bfloat16, so its bits are read as integers.
TYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype(np.int8),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}

MAX_HEADER = 16 << 20
_METADATA = "__metadata__"
# Both are always there, so that no damage to one of them can make a file look as if it had no checksum.
_MARK = "mindcv.checksum"
_CHECKSUM = "mindcv.sha256"


class _DamageError(ValueError):
    """The bytes are not a safetensors file; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class SafetensorsFile:
    """The content of a safetensors file.

    Args:
        header: The entry of each tensor: ``dtype``, ``shape`` and ``data_offsets``.
        metadata: Texts by name.
        data: The bytes of all tensors.
    """

    header: dict[str, dict[str, Any]]
    metadata: dict[str, str]
    data: memoryview

    @property
    def has_checksum(self) -> bool:
        """Whether the file holds a checksum, which has been verified."""
        return _CHECKSUM in self.metadata

    def content(self, name: str) -> memoryview:
        """Return the bytes of a tensor."""
        begin, end = self.header[name]["data_offsets"]
        return self.data[begin:end]

    def array(self, name: str) -> np.ndarray:
        """Return a copy of a tensor as an array; a bfloat16 as float32, which represents all its values."""
        entry = self.header[name]
        array = np.frombuffer(self.content(name), TYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)  # of which a bfloat16 is the upper half
        return array.reshape(entry["shape"]).copy()  # aligned and writable


def read_safetensors(path: Path) -> SafetensorsFile:
    """Read a safetensors file, and verify its checksum if it has one.

    Raises:
        UserError: If it is missing, damaged, or not a safetensors file, or has a type that weights lack.
    """
    file = parse_safetensors(path, read_content(path))
    if not file.has_checksum:
        tell_unprotected(path)
    return file


def parse_safetensors(path: Path, content: bytes) -> SafetensorsFile:
    """Read the content of a safetensors file; `path` is for messages. See `read_safetensors`."""
    try:
        file = _parsed(content)
        for name, entry in file.header.items():
            if entry["dtype"] not in TYPES:
                kind = entry["dtype"]
                raise UserError(f"{path}: '{name}' is {kind}, which is not a type of weights: save float32")
            _check_entry(name, entry, file)
    except UserError:
        raise
    except ValueError as error:
        reason = f" ({error})" if isinstance(error, _DamageError) else ""
        raise UserError(f"{path}: not a safetensors file, or damaged{reason}: check the file") from None
    marks = {_MARK, _CHECKSUM} & file.metadata.keys()
    if marks and file.metadata.get(_CHECKSUM) != _checksum(file):
        raise UserError(f"{path}: is damaged, its values do not have its checksum: use another file")
    return file


def with_checksum(path: Path, content: bytes) -> bytes:
    """Return the content of a safetensors file with a checksum; the bytes of its tensors stay as they are.

    Args:
        path: For messages.
        content: A file without a checksum.

    Raises:
        UserError: See `read_safetensors`.
    """
    file = parse_safetensors(path, content)
    metadata = {**file.metadata, _MARK: "SHA-256"}
    marked = SafetensorsFile(header=file.header, metadata=metadata, data=file.data)
    full = {_METADATA: {**metadata, _CHECKSUM: _checksum(marked)}, **file.header}
    header = json.dumps(full, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + file.data


def _checksum(file: SafetensorsFile) -> str:
    digest = hashlib.sha256()
    for key, text in sorted(file.metadata.items()):
        if key != _CHECKSUM:
            _feed(digest, key, text)
    for name in sorted(file.header):
        entry, content = file.header[name], file.content(name)
        _feed(digest, name, entry["dtype"], *map(str, entry["shape"]), str(len(content)))
        digest.update(content)
    return digest.hexdigest()


def _feed(digest: Any, *texts: str) -> None:
    """Add texts to a digest, so that no two lists of texts are the same bytes."""
    for text in (str(len(texts)), *texts):
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)


def _parsed(content: bytes) -> SafetensorsFile:
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], memoryview(content)[8 + length :]
    if length > min(MAX_HEADER, len(content) - 8) or not header.startswith(b"{"):
        raise _DamageError("its header has an impossible length")
    try:
        entries = json.loads(header.decode(), object_pairs_hook=_unique)
    except _DamageError:
        raise
    except (ValueError, RecursionError):
        raise _DamageError("its header is not JSON") from None
    metadata = entries.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise _DamageError("its metadata are not texts")
    if not all(_is_entry(entry) for entry in entries.values()):
        raise _DamageError("its header does not describe tensors")
    for text in (*entries, *metadata, *metadata.values()):
        text.encode()  # an escaped half of a character is not a text
    _check_positions(entries, len(data))
    return SafetensorsFile(header=entries, metadata=metadata, data=data)


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _DamageError(f"'{key}' occurs twice")
        found[key] = value
    return found


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return False
    shape, offsets = entry["shape"], entry["data_offsets"]
    numbers = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    return (
        isinstance(entry["dtype"], str)
        and numbers
        and len(shape) <= np.MAXDIMS
        and all(type(n) is int for n in (*shape, *offsets))
    )


def _check_positions(entries: Mapping[str, Mapping[str, Any]], length: int) -> None:
    """Refuse tensors that overlap, leave a gap, or end beyond the file."""
    at = 0
    for name in sorted(entries, key=lambda name: entries[name]["data_offsets"]):
        begin, end = entries[name]["data_offsets"]
        if begin != at or end < begin:
            raise _DamageError(f"'{name}' overlaps another tensor, or does not follow it")
        at = end
    if at != length:
        raise _DamageError(f"it holds {length} bytes of tensors, and its header describes {at}")


def _check_entry(name: str, entry: Mapping[str, Any], file: SafetensorsFile) -> None:
    content = file.content(name)
    try:
        check_length(entry["shape"], TYPES[entry["dtype"]].itemsize, len(content))
        if entry["dtype"] == "BOOL":
            check_booleans([content])
    except ValueError as error:
        raise _DamageError(f"'{name}' {error}") from None
