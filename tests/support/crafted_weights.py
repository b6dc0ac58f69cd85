"""Files of weights, intact and with damage of all kinds: to their bytes, and to what their structure says."""

import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import safetensors.numpy

from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models.weights.weight_files import write_weights
from tests.support.peers import torch

__all__ = ["KINDS", "intact", "mutated", "record", "safetensors_bytes"]

# A file of this project, which has a checksum, and files from elsewhere, in each format.
KINDS = (
    "own.ckpt",
    "plain.ckpt",
    "crc.ckpt",
    "own.safetensors",
    "plain.safetensors",
    "new.pth",
    "old.pth",
)

VALUES = (0, 1, 2, 3, 7, 127, 128, 255, 2**31 - 1, 2**31, 2**32, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
TYPES = ("Float32", "Float64", "Int8", "Bool", "BFloat16", "str", "Complex64", "Int4", "", "float32")
DTYPES = ("F32", "F64", "I8", "BOOL", "BF16", "F8_E4M3", "C64", "", "f32")
METADATA = {"model": "mnasnet_100", "bn_eps": 1e-3, "classes": ["猫", "Katze"], "epoch": 3, "top1": None}


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    kinds = (np.float32, np.float32, np.float16, np.float64, np.int64, np.int32, np.uint8, np.bool_)
    shapes = ((3, 4, 2), (7,), (4, 5), (3,), (), (2, 2), (9,), (5,))
    named = {}
    for number, (kind, shape) in enumerate(zip(kinds, shapes, strict=True)):
        drawn = rng.integers(0, 2, shape) if kind is np.bool_ else 100 * rng.standard_normal(shape)
        named[f"layer{number}.weight"] = np.asarray(np.abs(drawn), kind)
    return named


def intact(kind: str, folder: Path) -> bytes:
    """Return an intact file of a kind; `folder` is for temporary files."""
    form, _, suffix = kind.partition(".")
    path, tensors = folder / f"intact.{suffix}", arrays()
    if suffix == "ckpt":
        mindspore = {name: ms.Tensor(value) for name, value in tensors.items()}
        if form == "own":
            write_checkpoint(path, mindspore, METADATA)
        else:
            records = [{"name": name, "data": value} for name, value in mindspore.items()]
            others = {"epoch_num": 7, "note": "text 猫", "rate": 0.5, "flag": True}
            ms.save_checkpoint(records, str(path), append_dict=others, crc_check=form == "crc")
    elif suffix == "safetensors":
        if form == "own":
            write_weights(path, tensors, METADATA)
        else:
            metadata = {"format": "pt", "mindcv": json.dumps(METADATA)}
            return safetensors.numpy.save(tensors, metadata=metadata)
    else:
        state = {name: torch.tensor(value) for name, value in tensors.items()}
        torch.save({"state_dict": state, "epoch": 3}, path, _use_new_zipfile_serialization=form == "new")
    content = path.read_bytes()
    path.chmod(0o600)
    path.unlink()
    if form == "old":  # PyTorch named its storages by their addresses
        for number, address in enumerate(dict.fromkeys(re.findall(rb"\d{14,15}", content))):
            content = content.replace(address, b"%0*d" % (len(address), number))
    return content


def mutated(kind: str, content: bytes, rng: random.Random) -> bytes:
    """Return a file with damage that is drawn at random: half of the time to its bytes."""
    structural: Callable[[bytes, random.Random], bytes] = {
        "plain.ckpt": other_records,
        "plain.safetensors": other_header,
        "new.pth": other_archive,
    }.get(kind, damaged)
    return (damaged if rng.random() < 0.5 else structural)(content, rng)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return bytes that are cut, flipped, overwritten, moved, repeated or extended somewhere."""
    changed, kind, size = bytearray(content), rng.randrange(8), len(content)
    at, other, length = rng.randrange(size), rng.randrange(size), rng.choice((1, 2, 4, 8, 16, 64, 300))
    if kind == 0:
        return content[:at]
    if kind == 1:
        changed[at : at + length] = content[other : other + length]
    elif kind == 2:
        changed[at:at] = content[other : other + length]
    elif kind == 3:
        del changed[at : at + length]
    elif kind == 4:
        value = rng.choice(VALUES).to_bytes(8, rng.choice(("little", "big")))
        changed[at : at + 8] = value[: min(8, size - at)]
    elif kind == 5:
        for _ in range(rng.randrange(1, 6)):
            changed[rng.randrange(size)] = rng.randrange(256)
    elif kind == 6:
        changed += rng.choice((b"\0", content[at:], content, bytes(300)))
    else:
        changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 128:
        encoded.append(value % 128 | 128)
        value //= 128
    return bytes((*encoded, value))


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def record(name: bytes, kind: bytes, dims: tuple[int, ...], content: bytes) -> bytes:
    """Return a record of a MindSpore checkpoint, whatever it says."""
    tensor = b"".join(b"\x08" + varint(dim % 2**64) for dim in dims) + field(2, kind) + field(3, content)
    return field(1, field(1, name) + field(2, tensor))


def other_records(content: bytes, rng: random.Random) -> bytes:
    """Return a checkpoint of well-formed records, one of which says something else."""
    from mindspore.train.checkpoint_pb2 import Checkpoint

    records = [
        [v.tag.encode(), v.tensor.tensor_type.encode(), tuple(v.tensor.dims), v.tensor.tensor_content]
        for v in Checkpoint.FromString(content).value
    ]
    at = rng.randrange(len(records))
    name, kind, dims, data = changed = records[at]
    match rng.randrange(9):
        case 0:
            places = [*dims, 1]
            places[rng.randrange(len(places))] = rng.choice((-1, *VALUES))
            changed[2] = tuple(places)
        case 1:
            changed[2] = tuple(rng.choice(VALUES[:6]) for _ in range(rng.choice((0, 1, 2, 3, 33))))
        case 2:
            changed[1] = rng.choice(TYPES).encode()
        case 3:
            changed[0] = rng.choice((records[rng.randrange(len(records))][0], b"", b"\xff", b"\x1b[31m\n"))
        case 4:
            changed[3] = data[: rng.randrange(len(data) + 1)] + bytes(rng.choice((0, 1, 4, 5000)))
        case 5:
            records.insert(rng.randrange(len(records)), list(changed))
        case 6:
            half = rng.randrange(len(data) + 1)
            records[at : at + 1] = [[name, kind, dims, data[:half]], [name, kind, dims, data[half:]]]
        case 7:
            records[at - 1][3], changed[3] = data, records[at - 1][3]
        case _:
            rng.shuffle(records)
    return b"".join(record(*values) for values in records)


def safetensors_bytes(header: bytes, data: bytes) -> bytes:
    """Return a safetensors file with this header, whatever it says."""
    return len(header).to_bytes(8, "little") + header + data


def other_header(content: bytes, rng: random.Random) -> bytes:
    """Return a safetensors file with a header of JSON that says something else."""
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    names = [name for name in header if name != "__metadata__"]
    entry: dict[str, Any] = header[rng.choice(names)]
    values = (*VALUES, -1, 10**400, 0.5, None, "1", [], True)
    match rng.randrange(8):
        case 0:
            entry["shape"] = [rng.choice(values) for _ in range(rng.randrange(4))]
        case 1:
            entry["data_offsets"][rng.randrange(2)] = rng.choice(values)
        case 2:
            entry["dtype"] = rng.choice(DTYPES)
        case 3:
            entry["data_offsets"] = list(header[rng.choice(names)]["data_offsets"])
        case 4:
            header["__metadata__"] = rng.choice((None, [], {"a": 1}, {"a": {}}, {"mindcv": "[" * 9000}))
        case 5:
            stored = {**METADATA, rng.choice([*METADATA, "config"]): rng.choice(values)}
            header["__metadata__"]["mindcv"] = json.dumps(stored)
        case 6:
            text = json.dumps(header).replace(rng.choice(names), rng.choice(names), 1)
            return safetensors_bytes(text.encode(), data)
        case _:
            del header[rng.choice(names)]
    return safetensors_bytes(json.dumps(header).encode(), data)


def other_archive(content: bytes, rng: random.Random) -> bytes:
    """Return a PyTorch archive with right checksums, of which one entry is damaged."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    pickles = [name for name in entries if name.endswith("data.pkl")]
    chosen = rng.choice([*pickles * 3, *entries])
    entries[chosen] = damaged(entries[chosen], rng)
    written = io.BytesIO()
    packed = zipfile.ZIP_DEFLATED if rng.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(written, "w", packed) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return written.getvalue()
