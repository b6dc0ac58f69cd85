"""A run's folder belongs to one process at a time, and to nobody once that process has ended."""

import errno
import fcntl
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mindcv.errors import UserError
from mindcv.files.folder_lock import LOCK, FolderLock
from tests.support.paths import ROOT

HOLDER = """
import sys
from mindcv.files.folder_lock import FolderLock
lock = FolderLock(sys.argv[1])
try:
    lock.acquire()
except ValueError as error:
    print(error)
else:
    print("held", flush=True)
    sys.stdin.read()
"""
HERE = socket.gethostname()


def ask(folder: Path) -> str:
    """The answer to another process that asks for the lock, and gives it back if it gets it."""
    asked = [sys.executable, "-c", HOLDER, str(folder)]
    return subprocess.run(
        asked, cwd=ROOT, input="", capture_output=True, text=True, timeout=60
    ).stdout.strip()


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    asked = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(asked, cwd=ROOT, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def in_use(folder: Path, pid: int, host: str = HERE, remedy: str = "wait until that run ends") -> str:
    return f"ckpt_save_dir={folder} is in use by process {pid} on {host}: {remedy}, or choose another folder"


def test_another_process_is_refused_until_the_lock_is_released(tmp_path):
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []
    assert ask(tmp_path) == "held"
    assert list(tmp_path.iterdir()) == []
    lock.acquire()
    assert ask(tmp_path) == in_use(tmp_path, os.getpid())
    lock.release()


def test_within_a_process_the_last_user_gives_the_lock_back(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path / "." / ".." / tmp_path.name)
    first.acquire()
    second.acquire()
    first.release()
    assert ask(tmp_path) == in_use(tmp_path, os.getpid())
    del second
    gc.collect()
    assert ask(tmp_path) == "held"


def test_a_killed_owner_holds_nothing_even_if_a_process_that_it_forked_lives_on(tmp_path):
    with holder(tmp_path) as process:
        with pytest.raises(UserError, match=re.escape(in_use(tmp_path, process.pid))):
            FolderLock(tmp_path).acquire()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (tmp_path / LOCK).exists()
    assert ask(tmp_path) == "held"
    lock = FolderLock(tmp_path)
    lock.acquire()
    child = os.fork()
    if child == 0:
        lock.release()  # it owns nothing
        signal.pause()
    try:
        assert ask(tmp_path) == in_use(tmp_path, os.getpid())
        lock.release()
        assert ask(tmp_path) == "held"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_lock_that_a_killed_run_left_on_another_host_is_taken_over_with_a_warning(tmp_path, caplog):
    (tmp_path / LOCK).write_text('{"pid": 12, "host": "node7"}')
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert caplog.messages == [
        f"{tmp_path / LOCK}: process 12 on node7 no longer holds this lock, and is taken to have been killed"
    ]
    lock.release()


def test_without_locks_in_the_file_system_the_file_decides(tmp_path, monkeypatch):
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", unsupported)
    path, lock = tmp_path / LOCK, FolderLock(tmp_path)
    living, remedy = os.getppid(), f"delete {path} if that run has ended"
    for pid, host in ((living, HERE), (12, "node7")):
        path.write_text(json.dumps({"pid": pid, "host": host}))
        with pytest.raises(UserError) as caught:
            lock.acquire()
        assert str(caught.value) == in_use(tmp_path, pid, host, remedy)
    dead = subprocess.Popen(["true"])
    dead.wait()
    for pid in (dead.pid, os.getpid()):  # after a restart, numbers come again
        path.write_text(json.dumps({"pid": pid, "host": HERE}))
        lock.acquire()
        lock.release()


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[" * 5000, "{}", "\0" * 5000),
        *('{"pid": "1", "host": "a"}', '{"pid": -1, "host": "a"}', '{"pid": 1e400, "host": "a"}'),
        *('{"pid": true, "host": "a"}', '{"pid": 7, "host": ["a"]}'),
    ],
)
def test_a_damaged_lock_file_is_a_lock_of_nobody(tmp_path, content, caplog):
    (tmp_path / LOCK).write_text(content)
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert ask(tmp_path) == in_use(tmp_path, os.getpid())
    lock.release()
    assert caplog.messages == []


def test_no_link_is_followed_and_nothing_waits_for_a_pipe(tmp_path):
    victim, lock = tmp_path / "victim", FolderLock(tmp_path)
    victim.write_text("precious")
    path = tmp_path / LOCK
    for make, reason in (
        (lambda: path.symlink_to(victim), "Too many levels of symbolic links"),
        (lambda: os.mkfifo(path), "not an ordinary file"),
        (path.mkdir, "Is a directory"),
    ):
        make()
        with pytest.raises(UserError) as caught:
            lock.acquire()
        expected = f"ckpt_save_dir={tmp_path} cannot be written ({LOCK}: {reason}): choose another one"
        assert str(caught.value) == expected
        path.rmdir() if path.is_dir() else path.unlink()
    assert victim.read_text() == "precious"


def test_a_folder_that_is_deleted_and_made_again_is_locked_again(tmp_path):
    folder = tmp_path / "ckpt"
    folder.mkdir()
    lock = FolderLock(folder)
    lock.acquire()
    (folder / LOCK).unlink()
    folder.rmdir()
    folder.mkdir()
    lock.acquire()
    assert ask(folder) == in_use(folder, os.getpid())
    lock.release()
    assert list(folder.iterdir()) == []
