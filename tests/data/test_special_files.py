"""Special files with an image's name: a pipe, a device, a folder, a socket."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mindcv.data.image_reading import file_content, read_file
from mindcv.engine.run_files import read_run_file
from mindcv.models.weights.pretrained import _is_intact

pytestmark = pytest.mark.hostile


@pytest.fixture(autouse=True)
def _without_waiting() -> Iterator[None]:
    """End a test that waits for a pipe."""
    signal.alarm(20)
    yield
    signal.alarm(0)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("pipe", "is not an ordinary file"),
        ("device", "is not an ordinary file"),
        ("folder", "cannot be opened (Is a directory)"),
        ("socket", "cannot be opened (No such device or address)"),
        ("circle", "cannot be opened (Too many levels of symbolic links)"),
        ("nothing", "has vanished"),
        ("huge", "is larger than 1 GB"),
        ("empty", "is empty"),
    ],
)
def test_a_special_file_is_named_at_once(kind, fault, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("a.jpg")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
        case "circle":
            path.symlink_to(path)
        case "huge":
            path.touch()
            os.truncate(path, (1 << 30) + 1)
        case "empty":
            path.touch()
    assert read_file(str(path))[1] == fault


def test_a_link_to_an_image_is_an_image(tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    content, fault = file_content(tmp_path / "b.jpg")
    assert fault == ""
    assert content == (tmp_path / "a.jpg").read_bytes()


def test_a_pipe_among_checkpoints_and_downloads_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "slim-1.ckpt")
    assert read_run_file(tmp_path / "slim-1.ckpt") is None
    assert not _is_intact(tmp_path / "slim-1.ckpt", "12345678")
