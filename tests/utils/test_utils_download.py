"""Downloads and archives under MindCV's names, against a real server."""

import bz2
import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from mindcv.utils import (
    DownLoad,
    get_checkpoint_download_root,
    get_dataset_download_root,
    get_default_download_root,
    set_default_download_root,
)

MD5 = "15986aaa2edb1a5148af59d63d59e281"  # of b"hello" a thousand times


@pytest.fixture
def archive(tmp_path):
    """Writes an archive with one file, sub/one.txt, and returns its path."""

    def write(name: str) -> str:
        path = tmp_path / name
        if name.endswith(".zip"):
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("sub/one.txt", "1")
            return str(path)
        with tarfile.open(
            path, {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2"}.get(path.suffix[1:], "w")
        ) as file:
            member = tarfile.TarInfo("sub/one.txt")
            member.size = 1
            file.addfile(member, io.BytesIO(b"1"))
        return str(path)

    return write


def test_md5_is_that_of_the_content(tmp_path):
    path = tmp_path / "f.bin"
    path.write_bytes(b"hello" * 1000)
    assert DownLoad().calculate_md5(str(path)) == MD5
    assert DownLoad().check_md5(str(path), MD5)
    assert not DownLoad().check_md5(str(path), "x")
    assert not DownLoad().check_md5(str(path))
    with pytest.raises(FileNotFoundError):
        DownLoad().check_md5(str(tmp_path / "missing"))


@pytest.mark.parametrize("name", ["t.tar", "t.tar.gz", "t.tgz", "t.tar.bz2", "z.zip"])
def test_archives_are_unpacked_where_they_are_or_elsewhere(archive, tmp_path, name):
    path = archive(name)
    assert DownLoad().extract_archive(path, str(tmp_path / "out")) == str(tmp_path / "out")
    assert (tmp_path / "out" / "sub" / "one.txt").read_text() == "1"
    assert DownLoad().extract_archive(path) == str(tmp_path)
    assert (tmp_path / "sub" / "one.txt").read_text() == "1"


@pytest.mark.parametrize(("suffix", "module"), [(".gz", gzip), (".bz2", bz2)])
def test_a_compressed_file_is_written_beside_itself(tmp_path, suffix, module):
    path = tmp_path / f"g.txt{suffix}"
    path.write_bytes(module.compress(b"hi"))
    assert DownLoad().extract_archive(str(path)) == str(tmp_path / "g.txt")
    assert (tmp_path / "g.txt").read_bytes() == b"hi"


def test_another_kind_of_file_is_a_type_error(tmp_path):
    with pytest.raises(TypeError, match=r"f\.bin: not an archive"):
        DownLoad().extract_archive(str(tmp_path / "f.bin"))


def test_a_member_outside_of_the_folder_is_refused(tmp_path):
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo("../outside.txt"), io.BytesIO())
    with pytest.raises(tarfile.OutsideDestinationError):
        DownLoad().extract_archive(str(path), str(tmp_path / "in"))


def test_an_archive_is_fetched_once_and_unpacked(server, archive, tmp_path):
    content = Path(archive("z.zip")).read_bytes()
    server.files["/sets/z.zip"] = content
    folder = tmp_path / "data"
    for _ in range(2):
        DownLoad().download_and_extract_archive(f"{server.url}sets/z.zip", str(folder))
    assert (folder / "sub" / "one.txt").read_text() == "1"
    assert [path for path, _ in server.requests] == ["/sets/z.zip"]
    DownLoad().download_and_extract_archive(
        f"{server.url}sets/z.zip",
        str(folder),
        str(tmp_path / "x"),
        md5=hashlib.md5(content).hexdigest(),
        remove_finished=True,
    )
    assert (tmp_path / "x" / "sub" / "one.txt").exists()
    assert not (folder / "z.zip").exists()


def test_a_file_with_another_md5_is_fetched_again_and_refused(server, tmp_path):
    server.files["/f.bin"] = b"hello" * 1000
    (tmp_path / "f.bin").write_bytes(b"damaged")
    DownLoad().download_url(f"{server.url}f.bin", str(tmp_path), md5=MD5)
    assert (tmp_path / "f.bin").read_bytes() == b"hello" * 1000
    with pytest.raises(ValueError, match="the MD5 of the file is"):
        DownLoad().download_url(f"{server.url}f.bin", str(tmp_path), "g.bin", "0" * 32)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["f.bin"]


def test_a_missing_file_and_another_scheme_are_reported(server, tmp_path):
    with pytest.raises(ValueError, match="cannot be fetched"):
        DownLoad().download_file(f"{server.url}missing.bin", str(tmp_path / "m.bin"))
    with pytest.raises(ValueError, match="by http or https"):
        DownLoad().download_file("file:///etc/hostname", str(tmp_path / "m.bin"))
    assert list(tmp_path.glob("*m.bin*")) == []


def test_the_default_folder_is_that_of_the_weights(cache, tmp_path, server):
    assert get_default_download_root() == str(cache)
    set_default_download_root(str(tmp_path / "root"))
    server.files["/f.bin"] = b"hello"
    DownLoad().download_url(f"{server.url}f.bin")
    assert (tmp_path / "root" / "f.bin").read_bytes() == b"hello"
    assert get_checkpoint_download_root() == str(tmp_path / "root")
    assert get_dataset_download_root() == str(tmp_path / "root" / "datasets")
