"""Records of MindSpore's checkpoints: all that it writes is read as it reads it, and lies are refused."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from mindspore.train import serialization

from mindcv.errors import UserError
from mindcv.files import mindspore_records
from mindcv.files.checkpoint_file import read_checkpoint, write_checkpoint
from mindcv.files.mindspore_records import encode_record, read_records
from tests.support.crafted_weights import field, record

TYPES = (
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "bool_"),
)
# As MindCV's training scripts append them.
APPENDED = {"epoch_num": 7, "lr": 0.1, "done": True, "note": "größe 猫 🐈", "empty": ""}
FOUR = b"\0\0\x80?" * 4  # four times 1.0


def save(path, tensors, **options) -> None:
    ms.save_checkpoint(
        [{"name": name, "data": value} for name, value in tensors.items()], str(path), **options
    )


def same(path) -> int:
    """Compare all tensors with those that MindSpore reads, and return how many there are."""
    expected = {n: v.asnumpy() for n, v in ms.load_checkpoint(str(path)).items() if isinstance(v, Tensor)}
    found = read_checkpoint(path).tensors
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape), name
        assert found[name].tobytes() == value.tobytes(), name
        assert found[name].flags.writeable
        assert found[name].flags.aligned
    return len(found)


@pytest.mark.parametrize("crc_check", [False, True])
def test_all_that_mindspore_writes_is_read_as_mindspore_reads_it(tmp_path, crc_check):
    path = tmp_path / "a.ckpt"
    values = np.array([[0, 1, 2], [100, 3, 1]])
    tensors = {f"{kind}.{form}": Tensor(values, getattr(ms, kind)) for kind in TYPES for form in ("a", "b")}
    tensors |= {
        "scalar": Tensor(1.5),
        "one": Tensor([2.5]),
        "deep": Tensor(np.ones((1, 2, 1, 3, 1), np.int8)),
    }
    save(path, tensors, append_dict=APPENDED, crc_check=crc_check)
    assert same(path) == 2 * len(TYPES) + 3 + 3
    content = path.read_bytes()[: -17 if crc_check else None]
    texts = {name: r.text() for name, r in read_records(content).items() if r.type == "str"}
    assert texts == {"note": APPENDED["note"], "empty": ""}


def test_a_tensor_that_mindspore_has_split_is_read_as_one(tmp_path, monkeypatch):
    path, value = tmp_path / "a.ckpt", np.random.default_rng(0).standard_normal((7, 100)).astype(np.float32)
    monkeypatch.setattr(serialization, "SLICE_SIZE", 1)  # kB; 512 MB would take minutes
    save(path, {"large": Tensor(value), "next": Tensor([1.0])})
    assert path.read_bytes().count(b"large") == 3
    assert same(path) == 2


def test_records_are_written_as_mindspore_writes_them(tmp_path):
    path = tmp_path / "a.ckpt"
    save(path, {"a": Tensor(np.ones((2, 300), np.float32))}, append_dict={"note": "猫"})
    ones = np.ones(600, np.float32).tobytes()
    text = encode_record("note", "str", [0], "猫".encode("utf-32-le"))
    assert path.read_bytes() == encode_record("a", "Float32", [2, 300], ones) + text


def w(kind: bytes, dims: tuple[int, ...], content: bytes) -> bytes:
    return record(b"w", kind, dims, content)


TENSOR, F32, SHAPE = w(b"Float32", (2, 2), FOUR), b"Float32", "and its shape [2, 2] needs 16"
HUGE = 2**62
LIES = {
    "longer": (w(F32, (2, 2), 2 * FOUR), f"'w' holds 32 bytes, {SHAPE}"),
    "shorter": (w(F32, (2, 2), FOUR[:4]), f"'w' holds 4 bytes, {SHAPE}"),
    "empty": (w(F32, (2, 2), b""), f"'w' holds 0 bytes, {SHAPE}"),
    "twice": (TENSOR + record(b"v", F32, (), FOUR[:4]) + TENSOR, "'w' occurs twice"),
    "twice in a row": (TENSOR + TENSOR, f"'w' holds 32 bytes, {SHAPE}"),
    "other pieces": (TENSOR + w(F32, (4,), FOUR), "'w' occurs twice"),
    "empty pieces": (2 * w(F32, (0, 2), b""), "'w' occurs twice"),
    "negative": (w(F32, (-1, -4), FOUR), "'w' has a negative dimension"),
    "overflow": (w(F32, (HUGE, 4), b""), f"'w' has the impossible shape [{HUGE}, 4]"),
    "overflow of nothing": (w(b"Int8", (HUGE, 0), b""), f"'w' has the impossible shape [{HUGE}, 0]"),
    "huge": (w(b"Int8", (2**40,), b""), f"'w' holds 0 bytes, and its shape [{2**40}] needs {2**40}"),
    "dimensions": (w(b"Int8", (1,) * 33, b"\0"), "'w' has more than 32 dimensions"),
    "type": (w(b"Float8", (4,), b"1234"), "'w' has the unknown type 'Float8'"),
    "quantized": (w(b"Int4", (4,), b"12"), "'w' has the unknown type 'Int4'"),
    "boolean": (w(b"Bool", (2,), b"\1\2"), "'w' holds bytes that are not booleans"),
    "text": (w(b"str", (0,), b"abc"), "the text 'w' is damaged"),
    "name": (record(b"\xff", b"Int8", (), b"\0"), "the name of a record is not UTF-8"),
    "unnamed": (field(1, field(2, field(2, b"Int8") + field(3, b""))), "a record lacks its name"),
    "hash table": (field(1, field(1, b"w") + field(3, b"")), "a record has field 3 twice, or an unknown one"),
    "two contents": (
        field(1, field(1, b"w") + field(2, field(2, b"Int8") + 2 * field(3, b""))),
        "'w' has field 3 twice, or an unknown one",
    ),
    "unknown field": (TENSOR + field(2, b""), "field 2 is unknown"),
    "cut": (TENSOR[:-1], "1 bytes are missing"),
    "cut length": (TENSOR + b"\x0a", "it ends within a record"),
    "endless": (b"\x0a" + b"\xff" * 10, "bytes that are not records"),
    "far": (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", f"{2**63 - 1} bytes are missing"),
    "crc": (TENSOR + b"crc_num" + bytes(10), "its CRC-32 differs"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_record_that_lies_is_refused_and_named(tmp_path, lie):
    path, (content, reason) = tmp_path / "a.ckpt", LIES[lie]
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == f"{path}: not a MindSpore checkpoint, or damaged ({reason}): check the file"


def test_more_records_than_any_network_has_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.ckpt"
    monkeypatch.setattr(mindspore_records, "MAX_RECORDS", 3)
    three = b"".join(record(b"%d" % n, b"Int8", (), b"\0") for n in range(3))
    path.write_bytes(three)
    assert len(read_checkpoint(path).tensors) == 3
    path.write_bytes(three + TENSOR)
    with pytest.raises(UserError, match=r"or damaged .more than 3 records.: check the file"):
        read_checkpoint(path)


def test_a_file_without_its_ends_is_not_taken_for_one_from_elsewhere(tmp_path):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, {"w": Tensor([1.0])}, {"epoch": 1})
    content = path.read_bytes()
    head, tail = content.index(b"\x0a", 40), content.rindex(b"mindcv.sha256") - 5
    body = content[head:tail]
    assert b"mindcv.metadata" in body
    path.write_bytes(body)
    with pytest.raises(UserError, match="the checkpoint is truncated or damaged: use another one"):
        read_checkpoint(path)
    assert b"mindcv.metadata" not in TENSOR
    path.write_bytes(TENSOR)
    assert not read_checkpoint(path).has_checksum


def test_what_is_not_an_ordinary_file_is_named_and_not_opened(tmp_path):
    path = tmp_path / "a.ckpt"
    path.symlink_to("/dev/zero")
    with pytest.raises(UserError, match=f"^{path}: not an ordinary file: give a checkpoint on a disk$"):
        read_checkpoint(path)
    path.unlink()
    path.symlink_to(tmp_path / "missing.ckpt")
    with pytest.raises(UserError, match=f"^{path}: no such checkpoint: check the path$"):
        read_checkpoint(path)
    with (tmp_path / "large.ckpt").open("wb") as file:
        file.truncate(1 << 42)  # a sparse file of 4 TB
    with pytest.raises(
        UserError, match=r"large\.ckpt: the checkpoint is larger than the memory: use another"
    ):
        read_checkpoint(tmp_path / "large.ckpt")
