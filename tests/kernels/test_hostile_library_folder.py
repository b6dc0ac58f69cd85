"""The kernels' compiler may be missing, hang or print garbage, and others may write to the cache."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mindcv.kernels import library as room
from mindcv.kernels.library import KernelsUnavailableError, build_library
from mindcv.runtime.machine import usable_cores

pytestmark = pytest.mark.hostile

Compiler = Callable[[str], Path]


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """Make a shell script the compiler; it gets the output's path as $out where it is to compile."""

    def use(script: str) -> Path:
        path = tmp_path / "cxx"
        head = '[[ " $* " = *" --version "* ]] && { echo 1; exit; }\nfor out; do :; done\n'
        path.write_text(f"#!/bin/bash\n{head}{script}\n", encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))
        return path

    return use


def refusal(folder: Path) -> str:
    """Return why no library is built."""
    with pytest.raises(KernelsUnavailableError) as caught:
        build_library(folder)
    return str(caught.value)


def test_a_compiler_that_fails_is_quoted(compiler, tmp_path):
    compiler("echo 'cc: warning: x'; echo 'kernels.cc:1: error: no' >&2; echo 'collect2: error: ld'; exit 1")
    assert refusal(tmp_path / "kernels").endswith(
        "cxx fails (kernels.cc:1: error: no): install a working g++"
    )
    compiler("echo 'Cannot create temporary file in /full/: No space left on device' >&2; exit 1")
    assert "(Cannot create temporary file in /full/: No space left on device)" in refusal(
        tmp_path / "kernels"
    )
    compiler("exit 7")
    assert refusal(tmp_path / "kernels").endswith("cxx fails (status 7): install a working g++")


def test_a_compiler_that_writes_nothing_is_named(compiler, tmp_path):
    compiler("exit 0")
    assert refusal(tmp_path / "kernels").endswith("cxx has written no library: set CXX to a C++ compiler")
    assert sorted(path.name for path in (tmp_path / "kernels").iterdir()) == ["lock"]


def test_a_compiler_that_hangs_is_ended_with_its_parts(compiler, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "SECONDS", 0.5)
    compiler(f"sleep 321 & echo $! > {tmp_path}/pid; sleep 321")
    start = time.monotonic()
    assert refusal(tmp_path / "kernels").endswith(
        "cxx has not ended after 0.5 s: set CXX to a working C++ compiler"
    )
    assert time.monotonic() - start < 10
    part = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    end = time.monotonic() + 5
    while part.exists() and part.read_text().split()[2] != "Z" and time.monotonic() < end:
        time.sleep(0.05)
    assert not part.exists() or part.read_text().split()[2] == "Z"


def test_a_compiler_that_prints_without_end_fills_no_memory(compiler, tmp_path):
    compiler("yes")
    assert refusal(tmp_path / "kernels").endswith("cxx prints without end: set CXX to a working C++ compiler")


def test_a_version_that_is_no_text_is_a_version(tmp_path, monkeypatch):
    path = tmp_path / "cxx"
    path.write_bytes(b"#!/bin/sh\nprintf '\\377\\376'; exit 1\n")
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))
    assert "cxx fails (" in refusal(tmp_path / "kernels")


def test_cxx_may_be_a_command_with_arguments(compiler, tmp_path, monkeypatch):
    path = compiler('printf "%s" "$1" > "$out"; exit 0')
    monkeypatch.setenv("CXX", f"{path} -DGIVEN=1")
    library = build_library(tmp_path / "kernels")
    assert library.read_text() == "-DGIVEN=1"
    monkeypatch.setenv("CXX", "'g++")
    assert refusal(tmp_path / "kernels") == "CXX='g++ is not a command (No closing quotation): fix it"
    monkeypatch.setenv("CXX", "nowhere++")
    assert refusal(tmp_path / "kernels") == "there is no C++ compiler (CXX=nowhere++): install g++"


@pytest.mark.parametrize("script", ['echo garbage > "$out"', 'echo "" | gcc -shared -x c - -o "$out"'])
def test_a_library_that_cannot_be_loaded_is_reported_once_and_removed(
    compiler, tmp_path, monkeypatch, caplog, script
):
    compiler(script)
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path))
    room.library.cache_clear()
    room.library_path.cache_clear()
    try:
        assert room.library() is None
        assert room.library() is None
        assert [record.levelname for record in caplog.records].count("WARNING") == 1
        assert "the compiled library cannot be loaded (" in caplog.text
        assert not list(room.library_path().parent.glob("*.so"))
    finally:
        room.library.cache_clear()
        room.library_path.cache_clear()


def test_code_that_others_could_have_put_into_the_cache_is_not_loaded(compiler, tmp_path):
    compiler('echo library > "$out"')
    folder = tmp_path / "kernels"
    build_library(folder)
    folder.chmod(0o770)
    assert refusal(folder) == f"{folder} can be written by other users: 'chmod 700' it"
    folder.chmod(0o700)
    (tmp_path / "link").symlink_to(folder)
    assert refusal(tmp_path / "link").endswith(
        "link is a link or not a folder: remove it, or set MINDCV_HOME"
    )
    if os.geteuid() == 0:
        os.chown(folder, 65534, -1)
        assert refusal(folder) == f"{folder} belongs to another user: set MINDCV_HOME to your own folder"


@pytest.mark.parametrize("name", ["library", "checksum", "lock"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_or_a_pipe_in_the_cache_leads_nowhere(compiler, tmp_path, name, kind):
    compiler('echo library > "$out"')
    folder, target = tmp_path / "kernels", tmp_path / "precious"
    library = build_library(folder)
    path = {"library": library, "checksum": room._checksum_path(library), "lock": folder / "lock"}[name]
    target.write_bytes(path.read_bytes() or b"precious")
    content = target.read_bytes()
    path.unlink()
    if kind == "link":
        path.symlink_to(target)
    else:
        os.mkfifo(path)
    if name == "lock":
        path.with_name(library.name).unlink()  # so that the lock is needed
        with pytest.raises(OSError, match=r"lock is a link or not an ordinary file|No such device"):
            build_library(folder)
    else:
        assert build_library(folder) == library
        assert library.is_file()
        assert not path.is_symlink()
    assert target.read_bytes() == content


def test_a_damaged_library_is_compiled_again(compiler, tmp_path):
    compiler('echo library > "$out"')
    library = build_library(tmp_path / "kernels")
    for damage in (b"", b"librarz\n", b"library\nmore"):
        library.write_bytes(damage)
        assert build_library(tmp_path / "kernels").read_bytes() == b"library\n"


def test_a_process_that_keeps_the_lock_is_not_waited_for_without_end(compiler, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "SECONDS", 0.3)
    compiler('echo library > "$out"')
    folder = tmp_path / "kernels"
    folder.mkdir(mode=0o700)
    code = "import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX)"
    code += "; print(flush=True); time.sleep(60)"
    arguments = [sys.executable, "-c", code, str(folder / "lock")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert refusal(folder) == f"another process holds {folder / 'lock'}: end it"
        other.kill()
    assert build_library(folder).read_text() == "library\n"


@pytest.mark.parametrize(
    ("given", "used"),
    [("3", 3), ("5000", 256), ("9" * 5000, None), ("0", None), ("-1", None), ("x", None), ("", None)],
)
def test_any_number_of_threads_is_one_that_the_kernels_can_have(given, used, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert room.threads() == (used or usable_cores())


def test_two_processes_at_once_compile_once(compiler, tmp_path):
    compiler(f'echo x >> {tmp_path}/count; sleep 0.5; echo library > "$out"')
    code = "import sys; from pathlib import Path; from mindcv.kernels.library import build_library"
    arguments = [sys.executable, "-c", f"{code}; build_library(Path(sys.argv[1]))", str(tmp_path / "kernels")]
    both = [subprocess.Popen(arguments) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert (tmp_path / "count").read_text() == "x\n"


def test_a_full_disk_leaves_no_library(compiler, tmp_path):
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("a small disk takes root")
    compiler('head -c 100000 /dev/zero > "$out"')
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "none", disk], capture_output=True
    ).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        assert "cxx fails (" in refusal(disk / "kernels")
        assert sorted(path.name for path in (disk / "kernels").iterdir()) == ["lock"]
    finally:
        subprocess.run(["umount", disk], check=True)
