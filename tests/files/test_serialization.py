"""Checkpoint files: what they hold, that damage never passes, and that writing is all or nothing."""

import random
import subprocess
import sys
import time
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import read_checkpoint, write_checkpoint

ROOT = Path(__file__).parents[2]
ARRAYS = {
    "weight": np.array([[1.5, -2.0], [np.inf, 1e-45]], np.float32),
    "half": np.array([0.1], np.float16),
    "double": np.array([1 / 3]),
    "count": np.array(2**40, np.int64),
    "label": np.array([-1, 7], np.int32),
    "image": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "flag": np.array([True, False]),
}
METADATA = {
    "classes": ["Katze", "größe", "猫", "a\nb", '"quoted"', ""],
    "config": {"lr": 1e-10, "scale": [0.08, 1.0], "mode": 0, "data_dir": None, "shuffle": True},
    "epoch": 2**53,
}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.ckpt"


def message(path: Path | str) -> str:
    with pytest.raises(UserError) as caught:
        read_checkpoint(path)
    return str(caught.value)


def write_small(path: Path) -> bytes:
    write_checkpoint(path, {"w": Tensor(np.arange(3, dtype=np.float32))}, {"epoch": 1})
    return path.read_bytes()


def run(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_tensors_and_metadata_come_back_as_they_were(path):
    tensors = {name: Parameter(Tensor(array), name=name) for name, array in ARRAYS.items()}
    write_checkpoint(path, tensors, METADATA)
    read = read_checkpoint(path)
    assert read.has_checksum
    assert read.metadata == METADATA
    assert list(read.tensors) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (read.tensors[name].dtype, read.tensors[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(read.tensors[name], array)


def test_a_checkpoint_may_be_empty_or_hold_much(path):
    write_checkpoint(path, {}, {})
    assert (read_checkpoint(path).tensors, read_checkpoint(path).metadata) == ({}, {})
    array = np.random.default_rng(0).standard_normal((1000, 300)).astype(np.float32)
    write_checkpoint(path, {"w": Tensor(array)}, {"classes": ["名" * 50] * 1000})
    read = read_checkpoint(str(path))
    np.testing.assert_array_equal(read.tensors["w"], array)
    assert read.metadata == {"classes": ["名" * 50] * 1000}


def test_mindspore_reads_our_checkpoints(path):
    network = nn.Dense(3, 2)
    write_checkpoint(path, network.parameters_dict(), METADATA)
    records = ms.load_checkpoint(str(path))
    np.testing.assert_array_equal(records["weight"].asnumpy(), network.weight.asnumpy())
    other = nn.Dense(3, 2)
    missing, _ = ms.load_param_into_net(other, records)
    assert missing == []
    np.testing.assert_array_equal(other.weight.asnumpy(), network.weight.asnumpy())


@pytest.mark.parametrize("crc_check", [False, True])
def test_checkpoints_of_mindspore_are_read(path, crc_check):
    network = nn.Dense(3, 2)
    ms.save_checkpoint(network, str(path), crc_check=crc_check, append_dict={"note": "text"})
    read = read_checkpoint(path)
    assert not read.has_checksum
    assert read.metadata == {}
    assert list(read.tensors) == ["weight", "bias"]
    np.testing.assert_array_equal(read.tensors["weight"], network.weight.asnumpy())


def test_a_file_cut_anywhere_is_refused(path):
    content = write_small(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=f"^{path}: .*(empty|damaged)"):
            read_checkpoint(path)


@pytest.mark.parametrize("bit", [1, 128])
def test_a_flipped_bit_anywhere_is_refused(path, bit):
    content = write_small(path)
    for position in range(bit % 3, len(content), 3):
        path.write_bytes(content[:position] + bytes([content[position] ^ bit]) + content[position + 1 :])
        with pytest.raises(UserError, match=f"^{path}: .*damaged"):
            read_checkpoint(path)


def test_bytes_after_the_checksum_or_missing_before_it_are_refused(path):
    content = write_small(path)
    middle = len(content) // 2
    for damaged in (
        content + b"\0",
        content + content,
        content[:middle] + content[middle + 1 :],
        content[1:],
    ):
        path.write_bytes(damaged)
        assert message(path) == f"{path}: the checkpoint is truncated or damaged: use another one"
    path.write_bytes(content)
    assert read_checkpoint(path).metadata == {"epoch": 1}


def test_the_message_names_a_file_that_is_not_a_checkpoint(path, tmp_path):
    assert message(path) == f"{path}: no such checkpoint: check the path"
    path.touch()
    assert message(path) == f"{path}: the checkpoint is empty: use another one"
    for garbage, reason in (
        (b"garbage" * 20, "bytes that are not records"),
        (bytes(9), "field 0 is unknown"),
    ):
        path.write_bytes(garbage)
        assert message(path) == f"{path}: not a MindSpore checkpoint, or damaged ({reason}): check the file"
    folder = tmp_path / "folder.ckpt"
    folder.mkdir()
    assert message(folder) == f"{folder}: the checkpoint cannot be read (Is a directory): check the path"
    for name in ("model.pth", "model", "model.ckpt.zip"):
        other = tmp_path / name
        assert message(str(other)) == f"{other}: a MindSpore checkpoint ends in .ckpt: give such a file"


def test_a_checkpoint_replaces_the_older_one_and_leaves_nothing_else(path):
    write_checkpoint(path, {"w": Tensor([1.0])}, {"epoch": 1})
    write_checkpoint(path, {"w": Tensor([2.0])}, {"epoch": 2})
    read = read_checkpoint(path)
    assert (read.tensors["w"].tolist(), read.metadata) == ([2.0], {"epoch": 2})
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    reasons = {
        tmp_path / "missing" / "a.ckpt": "No such file or directory",
        tmp_path / "file" / "a.ckpt": "Not a directory",
        tmp_path / "folder.ckpt": "Is a directory",
    }
    (tmp_path / "file").touch()
    (tmp_path / "folder.ckpt").mkdir()
    for path, reason in reasons.items():
        with pytest.raises(UserError) as caught:
            write_checkpoint(path, {}, {})
        assert str(caught.value) == (
            f"{path}: the checkpoint cannot be written ({reason}): free or change the folder"
        )
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file", tmp_path / "folder.ckpt"]


def test_metadata_that_json_cannot_express_keeps_the_old_file(path):
    content = write_small(path)
    with pytest.raises(TypeError):
        write_checkpoint(path, {}, {"classes": {1, 2}})
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


WRITE_FOREVER = """
import sys
import mindcv
import numpy as np
from itertools import count
from pathlib import Path
from mindspore import Tensor
from mindcv.files.checkpoint_file import write_checkpoint

for epoch in count(1):
    write_checkpoint(
        Path(sys.argv[1]), {"w": Tensor(np.full(100_000, epoch, np.float32))}, {"epoch": epoch}
    )
    print(epoch, flush=True)
"""


@pytest.fixture
def writers(tmp_path):
    """Two processes that write a checkpoint over and over, and their files."""
    paths = [tmp_path / f"{number}.ckpt" for number in range(2)]
    processes = [run(WRITE_FOREVER, str(path)) for path in paths]
    try:
        for process in processes:
            for _ in range(3):
                assert process.stdout.readline(), process.stderr.read()
        yield list(zip(paths, processes, strict=True))
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_checkpoint_is_intact_while_it_is_replaced_and_after_its_writer_is_killed(writers):
    seen = []
    for path, process in writers:
        for _ in range(20):
            read = read_checkpoint(path)
            assert len(set(read.tensors["w"].tolist())) == 1
            seen.append(read.metadata["epoch"])
        time.sleep(0.01 * random.random())  # so that they die at different moments of their work
        process.kill()
        process.wait(timeout=30)
        read = read_checkpoint(path)
        assert set(read.tensors["w"].tolist()) == {read.metadata["epoch"]}
    assert min(seen) >= 3
    assert len(set(seen)) > 5  # they did replace it meanwhile


WRITE_TOO_MUCH = """
import resource
import signal
import sys
import mindcv
import numpy as np
from pathlib import Path
from mindspore import Tensor
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint

path = Path(sys.argv[1])
content = path.read_bytes()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as on a full disk, writing then fails with an OSError
for limit in (0, 100, 2_000, 100_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_checkpoint(path, {"w": Tensor(np.ones(50_000, np.float32))}, {"epoch": 2})
    except UserError as error:
        print(error)
    print(path.read_bytes() == content, *(p.name for p in path.parent.iterdir()))
"""


def test_a_disk_that_is_full_keeps_the_old_checkpoint_and_leaves_nothing_else(path):
    content = write_small(path)
    output, errors = run(WRITE_TOO_MUCH, str(path)).communicate(timeout=60)
    said = f"{path}: the checkpoint cannot be written (File too large): free or change the folder"
    assert output.splitlines() == [said, "True model.ckpt"] * 4
    assert errors == ""
    assert path.read_bytes() == content


READ_ALL = """
import sys
import mindcv
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import read_checkpoint

for path in sys.argv[1:]:
    try:
        read_checkpoint(path)
    except UserError as error:
        print(error)
"""


def test_mindspore_says_nothing_of_its_own_about_a_bad_file(tmp_path):
    contents = {
        "empty": b"",
        "garbage": b"garbage" * 20,
        "zeros": bytes(100),
        "record": b"\n\x05\n\x01w\x12\x00",
    }
    contents["cut"] = write_small(tmp_path / "good.ckpt")[:-1]
    contents["flipped"] = contents["cut"] + b"\xff"
    paths = [tmp_path / f"{name}.ckpt" for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    paths.append(tmp_path / "missing.ckpt")
    output, errors = run(READ_ALL, *map(str, paths)).communicate(timeout=60)
    assert [line.split(":")[0] for line in output.splitlines()] == [str(path) for path in paths]
    assert errors == ""
