"""Downloads into a folder that others can write to, and from a server that sends more than anybody needs."""

import gzip
import os
from pathlib import Path

import pytest

from mindcv.errors import UserError
from mindcv.files import download
from mindcv.files.archives import DownLoad
from mindcv.models.weights.pretrained import fetch_weights
from tests.support.file_server import CONTENT, NAME

pytestmark = pytest.mark.hostile


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("precious")
    return path


def put(kind: str, path: Path, victim: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "second name":
        path.hardlink_to(victim)
    elif kind == "dangling link":
        path.symlink_to(victim.with_name("new"))
    else:
        os.mkfifo(path)


@pytest.mark.parametrize("suffix", ["part", "lock"])
@pytest.mark.parametrize("kind", ["link", "second name", "dangling link", "pipe"])
def test_nothing_in_the_cache_leads_to_another_file(server, cache, victim, kind, suffix):
    path = cache / f"{NAME}.{suffix}"
    put(kind, path, victim)
    with pytest.raises(UserError) as caught:
        fetch_weights(server.url + NAME, waits=())
    assert str(caught.value) == (
        f"{cache}: weights cannot be stored there ({path.name} is a link or not an ordinary file): set "
        "MINDCV_HOME to a writable folder"
    )
    assert victim.read_text() == "precious"
    assert not victim.with_name("new").exists()


@pytest.mark.parametrize("kind", ["link", "second name", "dangling link", "pipe"])
def test_a_file_that_waits_for_an_archive_is_not_written_to(server, tmp_path, victim, kind):
    server.files["/f.bin"] = CONTENT
    folder = tmp_path / "data"
    put(kind, folder / f".f.bin.{os.getpid()}.part", victim)
    DownLoad().download_url(f"{server.url}f.bin", str(folder))
    assert (folder / "f.bin").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["f.bin"]
    assert victim.read_text() == "precious"


def test_unpacking_replaces_a_link_instead_of_its_target(tmp_path, victim):
    packed = tmp_path / "images.gz"
    packed.write_bytes(gzip.compress(CONTENT))
    (tmp_path / "images").symlink_to(victim)
    assert DownLoad().extract_archive(str(packed)) == str(tmp_path / "images")
    assert (tmp_path / "images").read_bytes() == CONTENT
    assert victim.read_text() == "precious"
    packed.write_bytes(packed.read_bytes()[:-1000])  # a file that is cut leaves the complete one
    with pytest.raises(EOFError):
        DownLoad().extract_archive(str(packed))
    assert (tmp_path / "images").read_bytes() == CONTENT


@pytest.mark.parametrize("states_length", [True, False])
def test_a_file_of_more_than_the_accepted_size_is_not_kept(server, tmp_path, states_length):
    server.states_length = states_length
    part, size = tmp_path / "file.part", len(CONTENT)
    with pytest.raises(download.DownloadError) as caught:
        download.download(server.url + NAME, part, waits=(), largest=size - 1)
    assert str(caught.value) == (
        f"the file has {size} bytes, and at most {size - 1} are accepted"
        if states_length
        else f"the server sends more than the {size - 1} bytes that are accepted"
    )
    assert not part.exists()
    download.download(server.url + NAME, part, waits=(), largest=size)
    assert part.read_bytes() == CONTENT


def test_a_rest_that_makes_a_file_too_large_is_refused(server, tmp_path):
    part = tmp_path / "file.part"
    part.write_bytes(CONTENT[:1000])
    with pytest.raises(
        download.DownloadError, match=f"the file has {len(CONTENT)} bytes, and at most 100000 "
    ):
        download.download(server.url + NAME, part, waits=(), largest=100_000)
    assert server.requests[-1] == (f"/{NAME}", "bytes=1000-")


def test_the_limit_of_an_archive_is_that_of_its_class(server, tmp_path, monkeypatch):
    monkeypatch.setattr(DownLoad, "largest", 1000)
    with pytest.raises(UserError, match=r"has 300000 bytes, and at most 1000 are accepted"):
        DownLoad().download_url(server.url + NAME, str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ["", "..", ".", "%2e%2e", "a%2F..", "x%00y"])
def test_an_address_that_names_no_file_is_refused(server, tmp_path, end):
    with pytest.raises(UserError, match=r"the address does not end in a file's name: give filename"):
        DownLoad().download_url(f"{server.url}{end}", str(tmp_path / "data"))
    assert server.requests == []
    assert list(tmp_path.iterdir()) == []
