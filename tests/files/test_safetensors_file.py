"""Safetensors files: lies in the header are refused, and the checksum finds every change."""

import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from mindcv.errors import UserError
from mindcv.files.safetensors_file import parse_safetensors, read_safetensors, with_checksum
from tests.support.crafted_weights import safetensors_bytes

TENSORS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a 猫": np.array([True, False])}
ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DATA = bytes(8)


def refused(path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_safetensors(path)
    return str(caught.value)


def header(content: bytes) -> dict:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors"


HOLDS = "it holds 8 bytes of tensors, and its header describes"
OVERLAPS = "overlaps another tensor, or does not follow it"
HEADERS = {
    "shape": ({"a": {**ENTRY, "shape": [2**62]}}, f"'a' has the impossible shape [{2**62}]"),
    "shape of nothing": (
        {"a": {**ENTRY, "shape": [2**62, 0], "data_offsets": [0, 0]}, "b": ENTRY},
        f"'a' has the impossible shape [{2**62}, 0]",
    ),
    "longer": ({"a": {**ENTRY, "shape": [3]}}, "'a' holds 8 bytes, and its shape [3] needs 12"),
    "shorter": ({"a": {**ENTRY, "shape": []}}, "'a' holds 8 bytes, and its shape [] needs 4"),
    "negative": ({"a": {**ENTRY, "shape": [-1, -2]}}, "'a' has the impossible shape [-1, -2]"),
    "beyond": (
        {"a": {**ENTRY, "shape": [4], "data_offsets": [0, 16]}},
        "it holds 8 bytes of tensors, and its header describes 16",
    ),
    "overlap": ({"a": ENTRY, "b": ENTRY}, f"'b' {OVERLAPS}"),
    "gap": (
        {"a": {**ENTRY, "shape": [1], "data_offsets": [4, 8]}},
        f"'a' {OVERLAPS}",
    ),
    "backwards": (
        {"a": {**ENTRY, "data_offsets": [8, 0]}},
        f"'a' {OVERLAPS}",
    ),
    "rest": ({}, f"{HOLDS} 0"),
    "half": ({"a": {**ENTRY, "shape": [2.0]}}, "its header does not describe tensors"),
    "true": ({"a": {**ENTRY, "shape": [True, 2]}}, "its header does not describe tensors"),
    "dimensions": ({"a": {**ENTRY, "shape": [1] * 32 + [2]}}, "its header does not describe tensors"),
    "no entry": ({"a": 1}, "its header does not describe tensors"),
    "more": ({"a": {**ENTRY, "more": 1}}, "its header does not describe tensors"),
    "metadata": ({"__metadata__": {"a": 1}, "a": ENTRY}, "its metadata are not texts"),
    "boolean": (
        {"a": {"dtype": "BOOL", "shape": [8], "data_offsets": [0, 8]}},
        "'a' holds bytes that are not booleans",
    ),
}


@pytest.mark.parametrize("lie", HEADERS)
def test_a_header_that_lies_is_refused_and_named(path, lie):
    content, reason = HEADERS[lie]
    data = b"\2" * 8 if lie == "boolean" else DATA
    assert refused(path, safetensors_bytes(json.dumps(content).encode(), data)) == (
        f"{path}: not a safetensors file, or damaged ({reason}): check the file"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff" * 7 + b"\x0f" + b"{}", "its header has an impossible length"),
        (b"abc", "its header has an impossible length"),
        (safetensors_bytes(b"[]", b""), "its header has an impossible length"),
        (safetensors_bytes(b'{"a\xff": 1}', b""), "its header is not JSON"),
        (safetensors_bytes(b'{"a": ' + b"[" * 100_000, b""), "its header is not JSON"),
        (safetensors_bytes(b'{"a": ' + b"9" * 10_000 + b"}", b""), "its header is not JSON"),
        (safetensors_bytes(b'{"a": 1, "a": 2}', b""), "'a' occurs twice"),
    ],
)
def test_a_header_that_is_not_one_is_refused(path, content, reason):
    assert refused(path, content) == f"{path}: not a safetensors file, or damaged ({reason}): check the file"


def test_a_file_with_a_checksum_is_read_by_the_library(path):
    path.write_bytes(with_checksum(path, safetensors.numpy.save(TENSORS, {"format": "np", "mindcv": "{}"})))
    for name, value in safetensors.numpy.load_file(path).items():
        np.testing.assert_array_equal(value, TENSORS[name])
    with safetensors.safe_open(path, "np") as file:
        assert set(file.metadata()) == {"format", "mindcv", "mindcv.checksum", "mindcv.sha256"}
    assert read_safetensors(path).has_checksum


def test_the_checksum_does_not_depend_on_how_the_header_is_written(path):
    content = with_checksum(path, safetensors.numpy.save(TENSORS, {"format": "np"}))
    length = int.from_bytes(content[:8], "little")
    entries = dict(sorted(header(content).items(), reverse=True))
    other = safetensors_bytes(json.dumps(entries, indent=2).encode() + b"  ", content[8 + length :])
    assert other != content
    file = parse_safetensors(path, other)
    assert file.has_checksum
    np.testing.assert_array_equal(file.array("b"), TENSORS["b"])


def test_a_change_of_names_types_shapes_values_or_metadata_is_found(path):
    content = with_checksum(path, safetensors.numpy.save(TENSORS, {"format": "np"}))
    length = int.from_bytes(content[:8], "little")
    data = content[8 + length :]
    changes = [lambda h: h["b"].update(shape=[3, 2]), lambda h: h["b"].update(dtype="I32")]
    changes += [lambda h: h.update(c=h.pop("b")), lambda h: h["__metadata__"].update(format="pt")]
    changes += [
        lambda h: h["__metadata__"].update(more=""),
        lambda h: h["__metadata__"].pop("mindcv.checksum"),
    ]
    changes += [lambda h: h["__metadata__"].pop("mindcv.sha256")]
    for change in changes:
        changed = header(content)
        change(changed)
        assert refused(path, safetensors_bytes(json.dumps(changed).encode(), data)) == (
            f"{path}: is damaged, its values do not have its checksum: use another file"
        )
    last = bytes((data[-1] ^ 1,))
    assert "is damaged" in refused(path, content[:-1] + last)
