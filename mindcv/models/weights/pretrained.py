"""Published weights: downloaded once into a cache folder, and verified at each use."""

import fcntl
import hashlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mindcv.errors import UserError
from mindcv.files.cache_folder import cache_folder
from mindcv.files.download import TIMEOUT, WAITS, DownloadError, download
from mindcv.files.ordinary_file import open_ordinary, ordinary_size

__all__ = ["CLASSES", "PUBLISHER", "cache_folder", "fetch_weights", "source_of"]

logger = logging.getLogger(__name__)

PUBLISHER = "https://download.mindspore.cn/toolkits/mindcv/"
CLASSES = 1000  # of ImageNet

# A letter or a digit first: such a name cannot lead out of its folder.
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*-([0-9a-f]{8,64})\.ckpt", re.ASCII)
_ADDRESS = re.compile(r"https?://[^/?#@\s]+/[^?#\s]*")


def fetch_weights(url: str, *, waits: Sequence[float] = WAITS, timeout: float = TIMEOUT) -> Path:
    """Return the file of published weights, from the cache or else from the network.

    Of several processes that need a file, one downloads it and the others wait. An interrupted download is
    kept as ``NAME.part``, and the next one resumes from it.

    Args:
        url: Its published address; the file's name ends in ``-`` and the first digits of the file's SHA-256.
        waits: See `download`.
        timeout: See `download`.

    Returns:
        Its path in `cache_folder`.

    Raises:
        UserError: If it cannot be downloaded, has another SHA-256, or the folder cannot be written.
    """
    name, digest = _name_and_digest(url)
    source, path = source_of(url), cache_folder() / name
    if not _is_intact(path, digest):
        with _locked(path):
            if not _is_intact(path, digest):  # else another process has downloaded it meanwhile
                _fetch(source, path, digest, waits, timeout)
    return path


def source_of(url: str) -> str:
    """Return the address to download a published file from: its URL, or the file in ``MINDCV_MIRROR``.

    A mirror has the files of all families in one folder.
    """
    mirror, source = os.environ.get("MINDCV_MIRROR", ""), url
    if mirror and url.startswith(PUBLISHER):
        source = f"{mirror.rstrip('/')}/{url.rpartition('/')[2]}"
    if not _ADDRESS.fullmatch(source):
        raise UserError(
            f"{source}: weights are downloaded by http or https: set MINDCV_MIRROR to an address like "
            "https://host/folder/"
        )
    return source


def _name_and_digest(url: str) -> tuple[str, str]:
    """Return a file's name, and the digits of its SHA-256 in the name."""
    name = urlsplit(url).path.rpartition("/")[2]
    match = _NAME.fullmatch(name)
    if match is None:
        raise UserError(
            f"{url}: the file's name does not end in the first digits of its SHA-256: name it like "
            "mnasnet_075-465d366d.ckpt"
        )
    return name, match[1]


def _fetch(source: str, path: Path, digest: str, waits: Sequence[float], timeout: float) -> None:
    """Download a file, verify it and move it to its place."""
    if path.exists():
        logger.warning("%s: damaged, its SHA-256 does not start with %s; downloading it again", path, digest)
    part = path.with_name(f"{path.name}.part")
    try:
        resumed = ordinary_size(part) > 0
        logger.info("downloading %s to %s", source, path)
        if not _is_intact(part, digest):  # else an earlier process was ended just before it renamed it
            download(source, part, waits=waits, timeout=timeout)
        if resumed and not _is_intact(part, digest):
            logger.warning("%s: left by an earlier download of another file; the download starts again", part)
            part.unlink()
            download(source, part, waits=waits, timeout=timeout)
        found = _sha256(part)
        if not found.startswith(digest):
            part.unlink()
            raise UserError(
                f"{source}: the SHA-256 of the download starts with {found[: len(digest)]}, not with "
                f"{digest}; it was removed: try again, or set MINDCV_MIRROR to another source"
            )
        part.replace(path)
    except DownloadError as error:
        raise UserError(
            f"{source} cannot be downloaded ({error}): download it by hand to {path}, set MINDCV_MIRROR to "
            "another source, or give a file as checkpoint_path (--pretrained false --ckpt_path FILE)"
        ) from None
    except OSError as error:
        raise _unusable(path.parent, error) from None


def _is_intact(path: Path, digest: str) -> bool:
    """Return whether a file exists and has the SHA-256 in its name."""
    try:
        return path.is_file() and _sha256(path).startswith(digest)
    except OSError as error:
        raise _unusable(path, error) from None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time download a file; the lock ends with the process."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number = open_ordinary(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT)
        with os.fdopen(number, "r+b") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("waiting for another process that downloads %s", path.name)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise _unusable(path.parent, error) from None


def _unusable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path}: weights cannot be stored there ({error.strerror}): set MINDCV_HOME to a writable folder"
    )
