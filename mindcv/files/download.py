"""Download a file over HTTP: resumed where it was cut, with retries, and always with TLS verification."""

import http.client
import logging
import os
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from tqdm import tqdm

from mindcv.files.ordinary_file import open_ordinary, ordinary_size

__all__ = ["LARGEST", "TIMEOUT", "WAITS", "DownloadError", "download"]

logger = logging.getLogger(__name__)

WAITS = (1.0, 2.0, 4.0)  # seconds before each retry
TIMEOUT = 30.0  # seconds without an answer
LARGEST = 4 << 30  # bytes; the weights of the networks here have at most 30 MB
CHUNK = 1 << 16
PASSING = {408, 425, 429, 500, 502, 503, 504}  # statuses that a retry may change


class DownloadError(Exception):
    """A download failed, and an immediate retry would not help."""


class _Cut(Exception):  # noqa: N818, it is not a failure yet
    """A connection failed or ended too early; another one may succeed."""


def download(
    url: str,
    part: Path,
    *,
    waits: Sequence[float] = WAITS,
    timeout: float = TIMEOUT,
    largest: int = LARGEST,
) -> None:
    """Download the missing end of a file.

    Args:
        url: Address of the file; http or https.
        part: The file, which may have the beginning already. Received bytes stay there even after an error.
        waits: Seconds to wait before each retry. Only consecutive tries that receive nothing count.
        timeout: Seconds without an answer after which a connection counts as cut.
        largest: Bytes that a file may have. More than these are neither requested nor kept.

    Raises:
        DownloadError: The download failed.
        OSError: The file could not be written, or is a link.
    """
    failures, furthest = 0, ordinary_size(part)
    while True:
        try:
            return _fetch_rest(url, part, timeout, largest)
        except _Cut as cut:
            reason = str(cut)
        if ordinary_size(part) > furthest:
            failures, furthest = 0, ordinary_size(part)
        if failures == len(waits):
            raise DownloadError(reason)
        logger.info("%s: %s; tried again in %g s", url, reason, waits[failures])
        time.sleep(waits[failures])
        failures += 1


def _fetch_rest(url: str, part: Path, timeout: float, largest: int) -> None:
    """Request the missing bytes once, or all bytes where the server cannot resume."""
    start = ordinary_size(part)
    with _request(url, part, timeout) as response:
        if response.status == 206 and not _continues(response, start):
            part.unlink(missing_ok=True)
            raise _Cut("the server sent other bytes than were asked for")
        if response.status == 200:  # it ignores the requested range
            start = 0
        elif response.status != 206:
            raise DownloadError(f"HTTP {response.status} {response.reason}")
        total = None if response.length is None else start + response.length
        if total is not None and total > largest:
            raise DownloadError(f"the file has {total} bytes, and at most {largest} are accepted")
        _receive(response, part, start, total, largest)
    if total is not None and ordinary_size(part) < total:
        raise _Cut(f"the connection was cut after {ordinary_size(part)} of {total} bytes")


def _receive(
    response: http.client.HTTPResponse, part: Path, start: int, total: int | None, largest: int
) -> None:
    """Append to the first bytes of a file what a server sends, which may state no size or a wrong one."""
    number = open_ordinary(part, os.O_WRONLY | os.O_CREAT)
    with (
        os.fdopen(number, "wb") as file,
        tqdm(
            total=total,
            initial=start,
            desc=part.stem,
            unit="B",
            unit_scale=True,
            leave=False,
            disable=None,
        ) as bar,
    ):
        file.truncate(start)
        file.seek(start)
        for chunk in _chunks(response):
            file.write(chunk)
            bar.update(len(chunk))
            if file.tell() > largest:
                part.unlink(missing_ok=True)
                raise DownloadError(f"the server sends more than the {largest} bytes that are accepted")
        file.flush()
        os.fsync(file.fileno())


def _request(url: str, part: Path, timeout: float) -> http.client.HTTPResponse:
    """Return the server's response to a request for the bytes that a file lacks."""
    start = ordinary_size(part)
    headers = {"User-Agent": "mindcv"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return _opener().open(Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:
            part.unlink()
            raise _Cut("the server has no more than is here, and that is not right") from None
        if error.code in PASSING:
            raise _Cut(f"HTTP {error.code} {error.reason}") from None
        raise DownloadError(f"HTTP {error.code} {error.reason}") from None
    except (ValueError, http.client.InvalidURL):
        raise DownloadError("the address is invalid") from None
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"the server's certificate is not trusted ({error.reason.verify_message})"
            ) from None
        raise _Cut(_said(error.reason)) from None
    except (OSError, http.client.HTTPException) as error:
        raise _Cut(_said(error)) from None


def _continues(response: http.client.HTTPResponse, start: int) -> bool:
    """Return whether a response is the part of a file from `start` on."""
    return start > 0 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Cut(_said(error)) from None
        if not chunk:
            return
        yield chunk


def _said(error: BaseException | str) -> str:
    """Describe an error of a connection in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was cut"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()


class _Redirects(HTTPRedirectHandler):
    """Follows a redirect to http or https, but from https only to https."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            fp.close()
            raise DownloadError(f"the server redirects to {newurl}, which is refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    """Return an opener of http and https only, through the environment's proxies; it opens no local files."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(context=ssl.create_default_context()),
        _Redirects(),
        HTTPErrorProcessor(),
        HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener
