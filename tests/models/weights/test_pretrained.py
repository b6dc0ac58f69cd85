"""Published weights: where from, where to, by several processes at once, and into a network."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mindcv.errors import UserError
from mindcv.models.mnasnet import PUBLISHED
from mindcv.models.weights.pretrained import cache_folder, fetch_weights, source_of
from tests.support.file_server import CONTENT, NAME

pytestmark = pytest.mark.usefixtures("cache")


def refused(url: str) -> str:
    with pytest.raises(UserError) as caught:
        fetch_weights(url)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# --- where from and where to ------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_takes_the_place_of_the_published_base(server, monkeypatch, slash):
    monkeypatch.setenv("MINDCV_MIRROR", f"{server.url}mirror{slash}")
    server.files[f"/mirror/{NAME}"] = CONTENT
    assert fetch_weights(PUBLISHED + NAME).read_bytes() == CONTENT
    assert source_of(f"https://elsewhere.org/{NAME}") == f"https://elsewhere.org/{NAME}"


@pytest.mark.parametrize(
    "mirror",
    ["file:///tmp", "ftp://host/x", "host/x", "/tmp", "http://", "https://me:secret@host", "http://h/?x"],
)
def test_a_mirror_must_be_an_address_of_the_web(monkeypatch, mirror):
    monkeypatch.setenv("MINDCV_MIRROR", mirror)
    message = refused(PUBLISHED + NAME)
    assert message.endswith(
        f"{NAME}: weights are downloaded by http or https: set MINDCV_MIRROR to an address like https://host/folder/"
    )


@pytest.mark.parametrize(
    "name",
    ["tiny.ckpt", "..", "", "tiny-12345678.pth", "..%2Ftiny-12345678.ckpt", ".-12345678.ckpt", "a-1234.ckpt"],
)
def test_a_name_without_a_hash_or_that_could_leave_the_folder_is_refused(name):
    assert refused(f"https://host/{name}") == (
        f"https://host/{name}: the file's name does not end in the first digits of its SHA-256: name it like "
        "mnasnet_075-465d366d.ckpt"
    )


def test_the_cache_lies_where_the_environment_says(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("MINDCV_HOME", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "mindcv"
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == tmp_path / "me/.cache/mindcv"
    monkeypatch.setenv("MINDCV_HOME", "~/weights")
    assert cache_folder() == tmp_path / "me/weights"


def test_a_folder_that_cannot_be_written_is_named(server, cache, monkeypatch):
    cache.write_bytes(b"")  # a file where the folder should be
    assert refused(server.url + NAME) == (
        f"{cache}: weights cannot be stored there (File exists): set MINDCV_HOME to a writable folder"
    )
    assert server.requests == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_may_only_be_read_serves_what_it_has(server, cache):
    path = fetch_weights(server.url + NAME)
    cache.chmod(0o555)
    try:
        assert fetch_weights(server.url + NAME) == path
        path.write_bytes(b"damaged")
        assert "weights cannot be stored there (Permission denied)" in refused(server.url + NAME)
    finally:
        cache.chmod(0o755)


# --- several processes ------------------------------------------------------------------------------------

SCRIPT = """
import logging, sys
logging.basicConfig(level=logging.INFO)
from mindcv.models.weights.pretrained import fetch_weights
print(fetch_weights(sys.argv[1]))
"""


def process(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, url],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def await_line(running: subprocess.Popen[str], text: str) -> None:
    assert running.stderr is not None
    for line in running.stderr:
        if text in line:
            return
    raise AssertionError(f"the process has ended without a line '{text}'")


def test_of_two_processes_one_fetches_and_the_other_waits(server, cache):
    server.held = threading.Event()
    first = process(server.url + NAME)
    await_line(first, "downloading")
    second = process(server.url + NAME)
    await_line(second, f"waiting for another process that downloads {NAME}")
    server.held.set()
    for running in (first, second):
        out, _ = running.communicate(timeout=60)
        assert out == f"{cache / NAME}\n"
    assert (cache / NAME).read_bytes() == CONTENT
    assert server.requests == [(f"/{NAME}", None)]


def test_what_a_killed_process_has_fetched_is_of_use_to_the_next(server, cache):
    server.held = threading.Event()
    running = process(server.url + NAME)
    await_line(running, "downloading")
    left = cache / f"{NAME}.part"
    while not left.exists() or left.stat().st_size < 65536:
        assert running.poll() is None
    running.kill()
    running.communicate()
    server.held.set()
    size = left.stat().st_size
    assert fetch_weights(server.url + NAME).read_bytes() == CONTENT
    assert server.requests[1:] == [(f"/{NAME}", f"bytes={size}-")]
