"""PyTorch files that are made to run code, to fill the memory, or to take for ever."""

import argparse
import io
import pickle
import resource
import struct
import time
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from mindcv.errors import UserError
from mindcv.models.weights.weight_files import read_weights
from tests.support.peers import torch

pytestmark = pytest.mark.hostile

PICKLE = "archive/data.pkl"


def archive(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED, attributes: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method, compresslevel=9) as written:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = method, attributes if name.endswith("data/0") else 0
            written.writestr(info, data)
    return file.getvalue()


def saved(content: object, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def entries(content: object) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(saved(content))) as whole:
        return {name: whole.read(name) for name in whole.namelist()}


def tuples(depth: int, key: bool) -> bytes:
    """Return a pickle of a tuple of two equal tuples of two equal tuples; as a key, its hash takes years."""
    nested = b")" + b"q\x00h\x00\x86" * depth
    return b"\x80\x02" + (b"}" + nested + b"K\x01s." if key else nested + b".")


def outcome(tmp_path, content: bytes) -> str:
    """Read a file in bounded time and memory, and return the message without the path."""
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as caught:
        read_weights(path)
    assert time.process_time() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB
    assert len(str(caught.value)) < 500
    return str(caught.value).removeprefix(f"{path}: ")


def damaged(reason: str) -> str:
    return f"not a PyTorch file, or damaged{reason}: check the file"


WEIGHTS = {"w": torch.ones(4)}


def test_an_archive_that_is_compressed_is_not_unpacked(tmp_path):
    bomb = archive(
        {PICKLE: entries(WEIGHTS)[PICKLE], "archive/data/0": bytes(300 << 20)}, zipfile.ZIP_DEFLATED
    )
    assert len(bomb) < 1 << 20
    assert outcome(tmp_path, bomb) == damaged(" (it is compressed, which torch.save does not do)")


def test_entries_that_overlap_or_occur_twice_are_refused(tmp_path):
    content = bytearray(archive({PICKLE: b"x" * 3000, "archive/a": b"x", "archive/b": b"x"}))
    for at in (i for i in range(len(content)) if content[i : i + 4] == b"PK\x01\x02"):
        struct.pack_into("<I", content, at + 20, 3000)  # sizes in the directory
        struct.pack_into("<I", content, at + 24, 3000)
    assert outcome(tmp_path, bytes(content)) == damaged(" (its entries overlap)")
    twice = archive({PICKLE: b"", "archive/data.pk_": b""}).replace(b"data.pk_", b"data.pkl")
    assert outcome(tmp_path, twice) == damaged(" (an entry occurs twice)")


def test_an_entry_that_says_it_is_a_folder_is_read_and_not_taken_from_the_memory(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(archive(entries(WEIGHTS), attributes=0x10))
    np.testing.assert_array_equal(read_weights(path).tensors["w"], np.ones(4, np.float32), strict=True)


@pytest.mark.parametrize("key", [True, False])
def test_tuples_of_tuples_are_not_followed_for_ever(tmp_path, key):
    content = archive({**entries(WEIGHTS), PICKLE: tuples(60, key)})
    assert outcome(tmp_path, content) == damaged(" (it holds tuples of tuples without end)")


def test_a_description_without_end_is_refused(tmp_path):
    text = b"X\0\0\x10\0" + b" " * (1 << 20) + b"0"  # which is dropped again
    content = archive({**entries(WEIGHTS), PICKLE: b"\x80\x02" + text * 9 + b"N."})
    assert outcome(tmp_path, content) == damaged(" (its description has more than 8 MB)")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_few_bytes_described_as_a_huge_tensor_are_refused(tmp_path, legacy):
    huge = torch.ones(1).as_strided((2**40,), (0,))
    message = outcome(tmp_path, saved({"w": huge}, legacy=legacy))
    assert message.startswith("its tensors have 4398046511104 bytes, and the file ")
    assert message.endswith(": save copies (clone()), not views")
    half = torch.ones(1 << 16, dtype=torch.float16)
    many = {f"w{number}": half for number in range(2000)}  # one storage
    assert outcome(tmp_path, saved(many, legacy=legacy)).startswith("its tensors have 262144000 bytes, and ")


def test_tied_weights_are_read(tmp_path):
    weight = torch.ones(1000)
    (tmp_path / "a.pth").write_bytes(saved({"a": weight, "b": weight, "c": weight[::2]}))
    found = read_weights(tmp_path / "a.pth").tensors
    assert {name: value.shape for name, value in found.items()} == {"a": (1000,), "b": (1000,), "c": (500,)}


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    content = entries(WEIGHTS)
    content[PICKLE] = content[PICKLE].replace(b"K\x04\x85", b"M\xff\xff\x85")
    assert outcome(tmp_path, archive(content)) == damaged("")
    content = entries(WEIGHTS)
    content["archive/data/0"] = content["archive/data/0"][:8]
    assert outcome(tmp_path, archive(content)) == damaged("")


def test_types_that_are_not_weights_are_named(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it will go, and old files stay
        quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    for value in (quantized, torch.ones(2, dtype=torch.complex64), torch.ones(2).to_sparse()):
        message = outcome(tmp_path, saved({"w": value}))
        assert message == f"'w' is not an ordinary tensor ({value.dtype}): save float32"
    assert outcome(tmp_path, saved({"w": torch.ones(2, device="meta")})).startswith("'w' is not an ordinary")


def test_objects_whose_attributes_are_replaced_do_not_confuse_the_reader(tmp_path):
    state = OrderedDict(WEIGHTS)
    state.itemz, state.gett = 1, 2  # type: ignore[attr-defined]
    content = entries(state)
    content[PICKLE] = content[PICKLE].replace(b"itemz", b"items").replace(b"\4\0\0\0gett", b"\3\0\0\0get")
    assert outcome(tmp_path, archive(content)) == damaged("")
    state = OrderedDict(WEIGHTS)
    for state._metadata in (3, {"mindcv": 3}):  # type: ignore[attr-defined]
        (tmp_path / "a.pth").write_bytes(saved(state))
        assert read_weights(tmp_path / "a.pth").metadata == {}
    for text in (3, "[" * 9000, "[]"):
        state._metadata = {"mindcv": {"metadata": text}}  # type: ignore[attr-defined]
        assert outcome(tmp_path, saved(state)) == (
            "its metadata 'mindcv' is not JSON of this project: use another file"
        )
    assert outcome(tmp_path, saved(argparse.Namespace(w=WEIGHTS))) == (
        "contains a Namespace instead of a state dict: save a state_dict()"
    )


def test_other_archives_and_pickles_are_refused(tmp_path):
    like_another = damaged(" (it begins like another kind of file)")
    assert outcome(tmp_path, pickle.dumps({"w": 1})) == like_another
    assert outcome(tmp_path, b"\n" + saved(WEIGHTS)) == like_another
    assert outcome(tmp_path, archive({"archive/other": b""})) == damaged(" (it lacks data.pkl)")
    for content in (saved(WEIGHTS), saved(WEIGHTS, legacy=True)):
        for length in range(0, len(content) - 1, 13):
            assert length == 0 or outcome(tmp_path, content[:length]).startswith("not a PyTorch file")
