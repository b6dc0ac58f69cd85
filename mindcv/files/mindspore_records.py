"""The records of MindSpore's checkpoints, read strictly and without MindSpore.

A checkpoint is a protobuf message of records, each with a name, dimensions, a type and bytes::

    Checkpoint { repeated Record value = 1; }
    Record     { string tag = 1; Tensor tensor = 2; }
    Tensor     { repeated int64 dims = 1; string tensor_type = 2; bytes tensor_content = 3; }

MindSpore's own reader believes what the dimensions say: where a record holds more bytes, it writes beyond the
end of its memory, and where it holds fewer, the rest of the tensor is zero. Here every length is compared
before anything is allocated. A tensor of more than 512 MB is several records in a row of the same name.
"""

import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mindcv.files.tensor_shapes import check_booleans, check_length

__all__ = ["TEXT", "TYPES", "Record", "RecordError", "encode_record", "read_records", "without_crc"]

TEXT = "str"  # the type of a record that holds a text

# Types by MindSpore's names. NumPy lacks bfloat16, so its bits are read as integers.
TYPES = {
    "Int8": np.dtype(np.int8),
    "UInt8": np.dtype(np.uint8),
    "Int16": np.dtype("<i2"),
    "UInt16": np.dtype("<u2"),
    "Int32": np.dtype("<i4"),
    "UInt32": np.dtype("<u4"),
    "Int64": np.dtype("<i8"),
    "UInt64": np.dtype("<u8"),
    "Float16": np.dtype("<f2"),
    "Float32": np.dtype("<f4"),
    "Float64": np.dtype("<f8"),
    "BFloat16": np.dtype("<u2"),
    "Bool": np.dtype(np.bool_),
}

MAX_RECORDS = 100_000
MAX_DIMS = 32
_CRC = b"crc_num"
_CRC_LENGTH = 10  # of the number behind it


class RecordError(ValueError):
    """The bytes are not a checkpoint; the message says why."""


@dataclass
class Record:
    """A tensor or a text of a checkpoint.

    Args:
        name: Its name.
        type: MindSpore's name of its type, such as ``Float32``, or `TEXT`.
        dims: Its dimensions; ``(0,)`` may also stand for a scalar.
        pieces: Its bytes, in one or more pieces.
    """

    name: str
    type: str
    dims: tuple[int, ...]
    pieces: list[memoryview] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Number of bytes."""
        return sum(map(len, self.pieces))

    def array(self) -> np.ndarray:
        """Return a copy of a tensor as an array; the bits of a bfloat16 as uint16."""
        array = np.frombuffer(b"".join(self.pieces), TYPES[self.type]).reshape(self.shape)
        return array.copy()  # aligned and writable

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape; a scalar has none."""
        return () if self.dims == (0,) and self.length else self.dims

    def text(self) -> str:
        """Return the text of a record of `TEXT`."""
        return b"".join(self.pieces).decode("utf-32-le").rstrip("\0")


def read_records(content: bytes) -> dict[str, Record]:
    """Return the records of a checkpoint by their names; the bytes of their tensors are not copied.

    Args:
        content: A checkpoint as MindSpore writes it, see `without_crc`.

    Raises:
        RecordError: If anything is not as MindSpore writes it.
    """
    records: dict[str, Record] = {}
    last: Record | None = None
    for number, value in _fields(memoryview(content)):
        if number != 1 or isinstance(value, int):
            raise RecordError(f"field {number} is unknown")
        record = _record(value)
        if last is not None and last.name == record.name:
            _join(last, record)
            continue
        if record.name in records:
            raise RecordError(f"'{record.name}' occurs twice")
        if len(records) == MAX_RECORDS:
            raise RecordError(f"more than {MAX_RECORDS} records")
        records[record.name] = last = record
    for record in records.values():
        _check(record)
    return records


def without_crc(content: bytes) -> tuple[bytes, bool]:
    """Verify the CRC-32 that ``save_checkpoint(crc_check=True)`` appends.

    Returns:
        The bytes before it, and whether there was one.

    Raises:
        RecordError: If it is wrong.
    """
    end = len(content) - len(_CRC) - _CRC_LENGTH
    if end < 0 or content[end : end + len(_CRC)] != _CRC:
        return content, False
    body = content[:end]
    if binascii.crc32(body) != int.from_bytes(content[-_CRC_LENGTH:], "big"):
        raise RecordError("its CRC-32 differs")
    return body, True


def encode_record(name: str, kind: str, dims: Sequence[int], content: bytes) -> bytes:
    """Return a record, as MindSpore writes it.

    Args:
        name: Name of the tensor or text.
        kind: One of `TYPES`, or `TEXT`.
        dims: Its dimensions; those of a text are ``[0]``.
        content: Its bytes, those of a text in UTF-32.
    """
    tensor = b"".join(b"\x08" + _number(dim) for dim in dims)
    tensor += _chunk(2, kind.encode()) + _chunk(3, content)
    return _chunk(1, _chunk(1, name.encode()) + _chunk(2, tensor))


def _chunk(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _number(len(content)) + content


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value >= 128:
        encoded.append(value % 128 | 128)
        value //= 128
    return bytes((*encoded, value))


def _join(first: Record, piece: Record) -> None:
    """Append a piece of a tensor that MindSpore has split."""
    if (first.type, first.dims) != (piece.type, piece.dims) or not first.length or not piece.length:
        raise RecordError(f"'{first.name}' occurs twice")
    first.pieces += piece.pieces


def _check(record: Record) -> None:
    """Compare the length of a record with its dimensions and type."""
    if record.type == TEXT:
        try:
            record.text()
        except UnicodeDecodeError:
            raise RecordError(f"the text '{record.name}' is damaged") from None
        return
    kind = TYPES[record.type]
    dims = () if record.dims == (0,) and record.length == kind.itemsize else record.dims
    try:
        check_length(dims, kind.itemsize, record.length)
        if record.type == "Bool":
            check_booleans(record.pieces)
    except ValueError as error:
        raise RecordError(f"'{record.name}' {error}") from None


def _record(content: memoryview) -> Record:
    fields = _single(content, {1: "name", 2: "tensor"}, "a record")
    name = _text(fields[1], "the name of a record")
    dims: list[int] = []
    kept: dict[int, memoryview] = {}
    for number, value in _fields(fields[2]):
        if number == 1:
            dims += [value] if isinstance(value, int) else _packed(value)
            if len(dims) > MAX_DIMS:
                raise RecordError(f"'{name}' has more than {MAX_DIMS} dimensions")
        elif number in (2, 3) and number not in kept and not isinstance(value, int):
            kept[number] = value
        else:
            raise RecordError(f"'{name}' has field {number} twice, or an unknown one")
    if kept.keys() != {2, 3}:
        raise RecordError(f"'{name}' lacks its type or its content")
    kind = _text(kept[2], f"the type of '{name}'")
    if kind != TEXT and kind not in TYPES:
        raise RecordError(f"'{name}' has the unknown type '{kind}'")
    if any(dim >= 1 << 63 for dim in dims):
        raise RecordError(f"'{name}' has a negative dimension")
    return Record(name, kind, tuple(dims), [kept[3]])


def _single(content: memoryview, names: dict[int, str], where: str) -> dict[int, memoryview]:
    """Return the fields of a message that has each of them once and no others."""
    found: dict[int, memoryview] = {}
    for number, value in _fields(content):
        if number not in names or number in found or isinstance(value, int):
            raise RecordError(f"{where} has field {number} twice, or an unknown one")
        found[number] = value
    for number, name in names.items():
        if number not in found:
            raise RecordError(f"{where} lacks its {name}")
    return found


def _text(content: memoryview, where: str) -> str:
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError:
        raise RecordError(f"{where} is not UTF-8") from None


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field of a message: a number, or a range of bytes."""
    at, end = 0, len(content)
    while at < end:
        key, at = _varint(content, at)
        value, at = _varint(content, at)  # of the types, only a number and a length occur
        if key & 7 == 0:
            yield key >> 3, value
        elif key & 7 == 2:
            if value > end - at:
                raise RecordError(f"{value - (end - at)} bytes are missing")
            yield key >> 3, content[at : at + value]
            at += value
        else:
            raise RecordError("bytes that are not records")


def _packed(content: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(content) and len(values) <= MAX_DIMS:
        value, at = _varint(content, at)
        values.append(value)
    return values


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """Return an unsigned number of at most 64 bits, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise RecordError("it ends within a record")
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >= 1 << 64:
                break
            return value, at
    raise RecordError("bytes that are not records")
