"""The compiled kernels: built at first use by the system's C++ compiler, and kept in the user's cache.

A library is named after all that determines it: source, compiler, flags and processor. It appears at once
under its name, with a checksum beside it, so that an incomplete or damaged file is never loaded. Of several
processes one compiles, and the others wait.
"""

import ctypes
import fcntl
import hashlib
import logging
import os
import platform
import shlex
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from mindcv.errors import UserError
from mindcv.files.atomic import write_atomically
from mindcv.files.cache_folder import cache_folder
from mindcv.files.ordinary_file import open_ordinary
from mindcv.runtime.machine import usable_cores

__all__ = ["KernelsUnavailableError", "build_library", "library", "library_path"]

logger = logging.getLogger("mindcv.kernels")

SOURCE = Path(__file__).parent / "source"
MAIN = "kernels.cc"
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-pthread", "-Wno-psabi")
COMPILERS = ("g++", "c++", "clang++")
SECONDS = 600  # for the compiler, or to wait for another process's
SECONDS_FOR_VERSION = 20
MOST_THREADS = 256  # as in threads.h
LONGEST = 1 << 20  # bytes that a compiler may print


class KernelsUnavailableError(Exception):
    """The kernels cannot be compiled or loaded here; the message says why."""


@cache
def library() -> ctypes.CDLL | None:
    """Return the loaded library, or None where there is none; why is logged once."""
    try:
        return _loaded(library_path())
    except (KernelsUnavailableError, UserError) as error:
        logger.warning(
            "CPU kernels are not used, and training and inference are several times slower: %s", error
        )
        return None


@cache
def library_path() -> Path:
    """Return the path of the compiled library, compiling it if needed.

    Raises:
        KernelsUnavailableError: It cannot be compiled or stored.
    """
    if platform.system() != "Linux":
        raise KernelsUnavailableError(f"MindSpore has custom operators on Linux, not on {platform.system()}")
    # Users may share the other folders of the cache, but nobody runs the code of another one.
    folder = cache_folder() / f"kernels-{os.geteuid()}"
    try:
        return build_library(folder)
    except OSError as error:
        raise KernelsUnavailableError(
            f"{folder} cannot be written ({error.strerror}): set MINDCV_HOME to a folder"
        ) from None


def _loaded(path: Path) -> ctypes.CDLL:
    try:
        loaded = ctypes.CDLL(str(path))
        for name in ("mindcv_saved_floats", "mindcv_stem_floats"):
            getattr(loaded, name).restype = ctypes.c_int64
        loaded.mindcv_set_threads(threads())
    except (OSError, AttributeError) as error:
        with suppress(OSError):
            path.unlink()  # the next program tries again, with another compiler perhaps
        raise KernelsUnavailableError(
            f"the compiled library cannot be loaded ({error}): set MINDCV_HOME to a folder that allows to "
            "execute files, or CXX to a working compiler"
        ) from None
    return loaded


def threads() -> int:
    """Return the number of threads of the kernels: OMP_NUM_THREADS, or this process's cores."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    is_number = given.isdecimal() and len(given) <= 9  # as many digits as an int holds for certain
    return min(int(given), MOST_THREADS) if is_number and int(given) > 0 else usable_cores()


def build_library(folder: Path) -> Path:
    """Return the library of this machine in a folder, compiling it where it is missing or damaged.

    Args:
        folder: Made if missing.

    Raises:
        KernelsUnavailableError: There is no compiler, or it fails, or others could write to the folder.
        OSError: The folder cannot be written.
    """
    compiler = find_compiler()
    path = folder / f"kernels-{_key(compiler)}.so"
    if ":" in str(path):  # MindSpore separates a library from its function by a colon
        raise KernelsUnavailableError(f"{folder} has a colon in its name: set MINDCV_HOME to another folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_owner(folder)
    if _is_intact(path):
        return path
    with _locked(folder / "lock"):
        if not _is_intact(path):
            logger.info("compiling the CPU kernels with %s, once", compiler[0])
            with write_atomically(path, _checksum_path(path)) as (library, checksum):
                _compile(compiler, library)
                checksum.write_text(_digest(library.read_bytes()))
    return path


def _check_owner(folder: Path) -> None:
    """Reject a folder into which other users could have put code."""
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode):
        raise KernelsUnavailableError(f"{folder} is a link or not a folder: remove it, or set MINDCV_HOME")
    if state.st_uid != os.geteuid():
        raise KernelsUnavailableError(f"{folder} belongs to another user: set MINDCV_HOME to your own folder")
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KernelsUnavailableError(f"{folder} can be written by other users: 'chmod 700' it")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock, which ends with this process, however that ends; give up where another one keeps it."""
    number = open_ordinary(path, os.O_WRONLY | os.O_CREAT)
    try:
        end = time.monotonic() + SECONDS
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise KernelsUnavailableError(f"another process holds {path}: end it") from None
                time.sleep(0.1)
        yield
    finally:
        os.close(number)


def find_compiler() -> list[str]:
    """Return the C++ compiler as a command: CXX, such as ``ccache g++``, or the system's.

    Raises:
        KernelsUnavailableError: There is none.
    """
    given = os.environ.get("CXX", "")
    try:
        commands = [shlex.split(given)] if given.strip() else [[name] for name in COMPILERS]
    except ValueError as error:
        raise KernelsUnavailableError(f"CXX={given} is not a command ({error}): fix it") from None
    for name, *arguments in commands:
        path = shutil.which(name)
        if path:
            return [path, *arguments]
    wanted = f"CXX={given}" if given.strip() else ", ".join(COMPILERS)
    raise KernelsUnavailableError(f"there is no C++ compiler ({wanted}): install g++")


def _compile(compiler: Sequence[str], library: Path) -> None:
    status, said = _run([*compiler, *FLAGS, str(SOURCE / MAIN), "-o", str(library)], SECONDS)
    if status:
        lines = [line for line in said.splitlines() if line.strip() and not line.startswith("collect2:")]
        errors = [line for line in lines if "error" in line] or lines or [f"status {status}"]
        raise KernelsUnavailableError(f"{compiler[0]} fails ({errors[0]}): install a working g++")
    if not library.is_file():
        raise KernelsUnavailableError(f"{compiler[0]} has written no library: set CXX to a C++ compiler")


def _run(command: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a compiler, and return its status and what it says, within bounds on time and length."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,  # its parts are processes of their own
        )
    except OSError as error:
        raise KernelsUnavailableError(f"{command[0]} cannot be run ({error.strerror}): install g++") from None
    late = threading.Event()

    def end() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, lambda: (late.set(), end()))
    timer.start()
    with process:
        try:
            said = process.stdout.read(LONGEST + 1) if process.stdout else b""
            if len(said) <= LONGEST:
                process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                end()
    if late.is_set() or len(said) > LONGEST:
        what = f"has not ended after {seconds:g} s" if late.is_set() else "prints without end"
        raise KernelsUnavailableError(f"{command[0]} {what}: set CXX to a working C++ compiler")
    return process.returncode, said.decode(errors="replace")


def _key(compiler: Sequence[str]) -> str:
    """Return a name for what determines the library."""
    _, version = _run([*compiler, "--version"], SECONDS_FOR_VERSION)
    parts = [*FLAGS, platform.machine(), _processor(), *compiler, version]
    files = sorted(SOURCE.iterdir())
    parts += [f"{path.name} {_digest(path.read_bytes())}" for path in files if path.suffix in (".cc", ".h")]
    return _digest("\n".join(parts).encode(errors="surrogateescape"))[:24]


def _processor() -> str:
    """Return what the first core can do: its model and its instructions."""
    try:
        core = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return platform.processor()
    wanted = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part")
    return "\n".join(line for line in core.splitlines() if line.partition(":")[0].strip() in wanted)


def _checksum_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_intact(path: Path) -> bool:
    try:
        return _content(_checksum_path(path)) == _digest(_content(path)).encode()
    except OSError:
        return False


def _content(path: Path) -> bytes:
    with os.fdopen(open_ordinary(path, os.O_RDONLY), "rb") as file:
        return file.read()
