"""A lock of a folder: one process at a time writes there.

The lock is the kernel's, so it ends with its process, however that ends, and also on another host where the
file system passes locks on, as NFS does. The file says whose it is, for messages, and decides alone where the
file system has no locks.
"""

import errno
import fcntl
import json
import logging
import os
import socket
import stat
import weakref
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mindcv.errors import UserError

__all__ = ["LOCK", "FolderLock"]

logger = logging.getLogger(__name__)

LOCK = ".run.lock"
LONGEST = 4096  # bytes; a lock file has about 50
TAKEN = {errno.EACCES, errno.EAGAIN}
WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


@dataclass(frozen=True, kw_only=True)
class _Owner:
    pid: int
    host: str

    @property
    def is_elsewhere(self) -> bool:
        return self.host != socket.gethostname()

    @property
    def lives(self) -> bool:
        """Whether the process may still be there; nobody can know about another host."""
        if self.is_elsewhere:
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # another user's
            return True
        return self.pid != os.getpid()  # the number is that of an earlier process


@dataclass
class _Held:
    """A lock of this process: the kernel knows only one per process, whoever in it asks."""

    number: int
    users: int = 0


_held: dict[Path, _Held] = {}


class FolderLock:
    """The lock of a folder; it may be acquired several times within one process.

    Args:
        folder: The folder, which exists when the lock is acquired.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._release: weakref.finalize | None = None

    def acquire(self) -> None:
        """Acquire the lock, unless it is acquired and its file is still there.

        Raises:
            UserError: If another process has it, or its file cannot be written.
        """
        path = self.folder.resolve() / LOCK
        if self._release is not None and self._release.alive and _is_current(path):
            return
        self.release()
        try:
            _take(path, self.folder)
        except OSError as error:
            reason = f"{LOCK}: {error.strerror}"
            raise UserError(
                f"ckpt_save_dir={self.folder} cannot be written ({reason}): choose another one"
            ) from None
        self._release = weakref.finalize(self, _give_back, path, os.getpid())

    def release(self) -> None:
        """Release the lock, if it is acquired; the file is removed with its last user."""
        if self._release is not None:
            self._release()


def _take(path: Path, folder: Path) -> None:
    if not _is_current(path):
        stale = _held.pop(path, None)  # its folder was deleted meanwhile
        if stale is not None:
            os.close(stale.number)
        _held[path] = _Held(_opened(path, folder))
    _held[path].users += 1


def _is_current(path: Path) -> bool:
    return path in _held and _is_same(_held[path].number, path)


def _give_back(path: Path, pid: int) -> None:
    held = _held.get(path)
    if held is None or pid != os.getpid():  # a process that was forked owns nothing
        return
    held.users -= 1
    if held.users == 0:
        del _held[path]
        if _is_same(held.number, path):
            with suppress(OSError):
                path.unlink()  # before the lock ends, so that nobody locks a file without a name
        os.close(held.number)


def _opened(path: Path, folder: Path) -> int:
    """Return the number of the locked file, which names this process."""
    while True:
        # A link could lead to any file of this user.
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise OSError(errno.EINVAL, "not an ordinary file")
            _lock(number, path, folder)
            if _is_same(number, path):  # else its owner has just removed it
                mine = json.dumps(asdict(_Owner(pid=os.getpid(), host=socket.gethostname())))
                os.ftruncate(number, 0)
                os.pwrite(number, mine.encode(), 0)
                return number
        except BaseException:
            os.close(number)
            raise
        os.close(number)


def _lock(number: int, path: Path, folder: Path) -> None:
    owner, remedy = _owner(number), "wait until that run ends, or choose another folder"
    try:
        fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_taken = False
    except OSError as error:
        if error.errno not in TAKEN | WITHOUT_LOCKS:
            raise
        is_taken = error.errno in TAKEN or (owner is not None and owner.lives)
        if error.errno in WITHOUT_LOCKS:
            remedy = f"delete {path} if that run has ended, or choose another folder"
    by = "another process" if owner is None else f"process {owner.pid} on {owner.host}"
    if is_taken:
        raise UserError(f"ckpt_save_dir={folder} is in use by {by}: {remedy}")
    if owner is not None and owner.is_elsewhere:
        logger.warning("%s: %s no longer holds this lock, and is taken to have been killed", path, by)


def _owner(number: int) -> _Owner | None:
    try:
        values = json.loads(os.pread(number, LONGEST, 0))
        pid, host = values["pid"], values["host"]
    except (ValueError, KeyError, TypeError, RecursionError):  # empty or damaged
        return None
    if type(pid) is not int or not 0 < pid < 1 << 31 or not isinstance(host, str):
        return None
    return _Owner(pid=pid, host=host)


def _is_same(number: int, path: Path) -> bool:
    """Whether a path is that of an open file."""
    try:
        return os.path.samestat(os.fstat(number), path.lstat())
    except OSError:
        return False
