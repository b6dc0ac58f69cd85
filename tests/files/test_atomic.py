"""Files that are complete or do not exist, and what a killed writer leaves."""

import signal
import subprocess
import sys
from pathlib import Path

from mindcv.files.atomic import write_atomically
from tests.support.paths import ROOT

WRITER = """
import signal, sys
from pathlib import Path
from mindcv.files.atomic import write_atomically
with write_atomically(Path(sys.argv[1])) as (partial,):
    partial.write_text("half")
    print(partial.parent.name, flush=True)
    signal.pause()
"""


def writer(path: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that is writing a file, and its folder."""
    command = [sys.executable, "-c", WRITER, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return process, path.with_name(process.stdout.readline().strip())


def end(process: subprocess.Popen[str], number: int) -> None:
    with process:
        process.send_signal(number)


def test_what_a_killed_writer_left_is_removed_and_what_others_are_writing_is_not(tmp_path):
    path = tmp_path / "net[1].onnx"
    killed, its = writer(path)
    end(killed, signal.SIGKILL)
    assert [p.name for p in its.iterdir()] == ["net[1].onnx"]
    living, other = writer(path)
    unlike = [
        tmp_path / name for name in (".net[1].onnx.backup", ".net1.onnx.abcdefgh", ".net[1].ckpt.abcdefgh")
    ]
    for folder in unlike:
        folder.mkdir()
    with write_atomically(path) as (partial,):
        partial.write_text("whole")
        assert not its.exists()
        assert other.exists()
        assert list(partial.parent.iterdir()) == [partial]
    assert sorted(tmp_path.iterdir()) == sorted([path, other, *unlike])
    assert path.read_text() == "whole"
    end(living, signal.SIGKILL)


def test_a_leftover_that_is_a_link_or_a_file_stays(tmp_path):
    path, precious = tmp_path / "net.onnx", tmp_path / "precious"
    (precious / "more").mkdir(parents=True)
    (tmp_path / ".net.onnx.abcdefgh").symlink_to(precious)
    (tmp_path / ".net.onnx.12345678").write_text("a file")
    with write_atomically(path) as (partial,):
        partial.write_text("whole")
    assert (precious / "more").is_dir()
    assert len(list(tmp_path.iterdir())) == 4
