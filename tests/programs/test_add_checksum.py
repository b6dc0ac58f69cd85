"""Checksums for files from elsewhere: `mindcv add-checksum FILE...`."""

import hashlib
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
import safetensors.numpy

from mindcv.errors import UserError
from mindcv.files.add_checksum import add_checksum
from mindcv.files.checkpoint_file import read_checkpoint
from mindcv.models.weights.weight_files import read_weights
from tests.support.crafted_weights import arrays, intact
from tests.support.paths import ROOT


def run(*files, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.add_checksum", *map(str, files)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize("kind", ["plain.ckpt", "crc.ckpt", "plain.safetensors"])
def test_a_file_with_an_added_checksum_holds_what_it_held_and_others_read_it(tmp_path, kind):
    path = tmp_path / f"a.{kind.partition('.')[2]}"
    path.write_bytes(intact(kind, tmp_path))
    path.chmod(0o640)
    before = read_weights(path)
    count = 12 if path.suffix == ".ckpt" else 8  # tensors and texts
    assert add_checksum(path) == f"{path}: has a checksum now, over {count} tensors"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]
    after = read_weights(path)
    assert after.metadata == before.metadata
    assert list(after.tensors) == list(before.tensors)
    for name, value in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[name], value, strict=True)
    if path.suffix == ".ckpt":
        others = {name: v.asnumpy() for name, v in ms.load_checkpoint(str(path)).items() if name in arrays()}
        assert read_checkpoint(path).has_checksum
    else:
        others = safetensors.numpy.load_file(path)
    for name, value in arrays().items():
        np.testing.assert_array_equal(others[name], value, strict=True)
    content = path.read_bytes()
    assert add_checksum(path) == f"{path}: has a checksum already, and is intact"
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", ["plain.ckpt", "plain.safetensors"])
def test_no_byte_of_a_file_with_an_added_checksum_can_change(tmp_path, kind):
    path = tmp_path / f"a.{kind.partition('.')[2]}"
    path.write_bytes(intact(kind, tmp_path))
    add_checksum(path)
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes((content[at] ^ 1 << at % 8,)) + content[at + 1 :])
        with pytest.raises(UserError):
            read_weights(path)


def test_files_that_cannot_or_need_not_get_a_checksum_are_named_and_stay(tmp_path):
    content = intact("plain.safetensors", tmp_path)
    named = tmp_path / "net-00000000.safetensors"
    named.write_bytes(content)
    assert (
        add_checksum(named) == f"{named}: has a checksum now, over 8 tensors"
    )  # its name states another one
    named = tmp_path / f"net-{hashlib.sha256(content).hexdigest()[:8]}.safetensors"
    named.write_bytes(content)
    assert add_checksum(named) == (
        f"{named}: is not changed, because its name states its SHA-256; it is intact"
    )
    link, damaged = tmp_path / "link.safetensors", tmp_path / "damaged.safetensors"
    link.symlink_to(named)
    damaged.write_bytes(content[:-1])
    faults = {
        link: f"is a link to {named}: give that file, or a copy of it",
        damaged: "not a safetensors file, or damaged (it holds 225 bytes of tensors, and its header "
        "describes 226): check the file",
        tmp_path
        / "a.pth": "only .ckpt and .safetensors can hold a checksum: convert it with 'mindcv convert'",
        tmp_path / "missing.ckpt": "no such file: check the path",
    }
    for path, fault in faults.items():
        with pytest.raises(UserError) as caught:
            add_checksum(path)
        assert str(caught.value) == f"{path}: {fault}"
    assert named.read_bytes() == content


def test_the_program_names_each_file_and_stops_at_the_first_that_is_damaged(tmp_path):
    paths = [tmp_path / "a.safetensors", tmp_path / "b.ckpt", tmp_path / "c.ckpt"]
    for path, kind in zip(paths, ["plain.safetensors", "own.ckpt", "plain.ckpt"], strict=True):
        path.write_bytes(intact(kind, tmp_path))
    paths[2].write_bytes(paths[2].read_bytes()[:-1])
    ran = run(*paths)
    assert ran.returncode == 2
    assert ran.stdout.splitlines() == [
        f"{paths[0]}: has a checksum now, over 8 tensors",
        f"{paths[1]}: has a checksum already, and is intact",
    ]
    assert ran.stderr == (
        f"error: {paths[2]}: not a MindSpore checkpoint, or damaged (1 bytes are missing): check the file\n"
    )


def test_a_disk_that_is_full_keeps_the_file(tmp_path):
    path = tmp_path / "a.ckpt"
    content = intact("plain.ckpt", tmp_path)
    path.write_bytes(content)
    script = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    script += (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)); sys.argv = ['add-checksum', sys.argv[1]]; "
    )
    script += "from mindcv.programs.add_checksum import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        f"error: {path}: cannot be written (File too large): free space or change the folder\n"
    )
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["plain.ckpt", "plain.safetensors"])
def test_a_program_says_once_that_nothing_vouches_for_its_files(tmp_path, kind):
    path = tmp_path / f"a.{kind.partition('.')[2]}"
    path.write_bytes(intact(kind, tmp_path))
    script = (
        "import sys\n"
        "from mindcv.runtime.session import log_to_stderr\n"
        "from mindcv.models.weights.weight_files import read_weights\n"
        "log_to_stderr(speaking=True)\n"
        "for _ in range(3): read_weights(sys.argv[1])\n"
    )
    said = f"{path}: has no checksum, so damage to its values cannot be noticed: "
    said += "'mindcv add-checksum' adds one\n"
    for expected in (said, ""):
        ran = subprocess.run(
            [sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        kept = [line for line in ran.stderr.splitlines(keepends=True) if "becomes float32" not in line]
        assert "".join(kept) == expected
        add_checksum(path)
