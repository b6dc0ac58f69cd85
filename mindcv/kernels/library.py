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
import shutil
import subprocess
from functools import cache
from pathlib import Path

from mindcv.errors import UserError
from mindcv.files.atomic import write_atomically
from mindcv.files.cache_folder import cache_folder
from mindcv.runtime.machine import usable_cores

__all__ = ["KernelsUnavailableError", "build_library", "library", "library_path"]

logger = logging.getLogger("mindcv.kernels")

SOURCE = Path(__file__).parent / "source"
MAIN = "kernels.cc"
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-pthread", "-Wno-psabi")
COMPILERS = ("g++", "c++", "clang++")
SECONDS = 600  # for the compiler


class KernelsUnavailableError(Exception):
    """The kernels cannot be compiled or loaded here; the message says why."""


@cache
def library() -> ctypes.CDLL | None:
    """Return the loaded library, or None where there is none; why is logged once."""
    try:
        path = library_path()
        loaded = ctypes.CDLL(str(path))
    except (KernelsUnavailableError, OSError, UserError) as error:
        logger.warning(
            "CPU kernels are not used, and training and inference are several times slower: %s", error
        )
        return None
    for name in ("mindcv_saved_floats", "mindcv_stem_floats"):
        getattr(loaded, name).restype = ctypes.c_int64
    loaded.mindcv_set_threads(threads())
    return loaded


@cache
def library_path() -> Path:
    """Return the path of the compiled library, compiling it if needed.

    Raises:
        KernelsUnavailableError: It cannot be compiled or stored.
    """
    if platform.system() != "Linux":
        raise KernelsUnavailableError(f"MindSpore has custom operators on Linux, not on {platform.system()}")
    try:
        return build_library(cache_folder() / "kernels")
    except OSError as error:
        raise KernelsUnavailableError(
            f"{cache_folder() / 'kernels'} cannot be written ({error.strerror}): set MINDCV_HOME to a folder"
        ) from None


def threads() -> int:
    """Return the number of threads of the kernels: OMP_NUM_THREADS, or this process's cores."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else usable_cores()


def build_library(folder: Path) -> Path:
    """Return the library of this machine in a folder, compiling it where it is missing or damaged.

    Args:
        folder: Made if missing.

    Raises:
        KernelsUnavailableError: There is no compiler, or it fails.
        OSError: The folder cannot be written.
    """
    compiler = find_compiler()
    path = folder / f"kernels-{_key(compiler)}.so"
    if ":" in str(path):  # MindSpore separates a library from its function by a colon
        raise KernelsUnavailableError(f"{folder} has a colon in its name: set MINDCV_HOME to another folder")
    if _is_intact(path):
        return path
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when this process ends, however it ends
        if not _is_intact(path):
            logger.info("compiling the CPU kernels with %s, once", compiler)
            with write_atomically(path, _checksum_path(path)) as (library, checksum):
                _compile(compiler, library)
                checksum.write_text(_digest(library.read_bytes()))
    return path


def find_compiler() -> str:
    """Return the C++ compiler: CXX, or the system's.

    Raises:
        KernelsUnavailableError: There is none.
    """
    names = (os.environ["CXX"],) if os.environ.get("CXX") else COMPILERS
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        raise KernelsUnavailableError(f"there is no C++ compiler ({', '.join(names)}): install g++")
    return found


def _compile(compiler: str, library: Path) -> None:
    command = [compiler, *FLAGS, str(SOURCE / MAIN), "-o", str(library)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelsUnavailableError(f"{compiler} fails: {error}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or ["no message"]
        raise KernelsUnavailableError(f"{compiler} fails: {lines[0]}")


def _key(compiler: str) -> str:
    """Return a name for what determines the library."""
    parts = [*FLAGS, platform.machine(), _processor(), compiler, _version(compiler)]
    files = sorted(SOURCE.iterdir())
    parts += [f"{path.name} {_digest(path.read_bytes())}" for path in files if path.suffix in (".cc", ".h")]
    return _digest("\n".join(parts).encode())[:24]


def _version(compiler: str) -> str:
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelsUnavailableError(f"{compiler} fails: {error}") from None
    return done.stdout


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
        return _checksum_path(path).read_text() == _digest(path.read_bytes())
    except (OSError, UnicodeDecodeError):
        return False
