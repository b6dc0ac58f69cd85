"""Downloads of files and archives.

Connections are resumed where they were cut, TLS is always verified, and a file appears under its name only
when it is complete and its MD5, if one is given, is right.
"""

import bz2
import gzip
import hashlib
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mindcv.errors import UserError
from mindcv.files.atomic import write_atomically
from mindcv.files.cache_folder import cache_folder
from mindcv.files.download import DownloadError, download
from mindcv.files.file_types import detect_file_type

__all__ = ["DownLoad"]

OPENERS = {".gz": gzip.open, ".bz2": bz2.open}


class DownLoad:
    """Fetches files over http and https, verifies them and unpacks archives.

    Attributes:
        largest: Bytes that a downloaded file may have.
    """

    largest = 256 << 30  # ImageNet's archive of training images has 138 GiB

    @staticmethod
    def calculate_md5(file_path: str, chunk_size: int = 1024 * 1024) -> str:
        """Return the MD5 of a file in hexadecimal digits.

        Args:
            file_path: The file.
            chunk_size: Bytes read at a time.
        """
        digest = hashlib.md5()
        with Path(file_path).open("rb") as file:
            while chunk := file.read(chunk_size):
                digest.update(chunk)
        return digest.hexdigest()

    def check_md5(self, file_path: str, md5: str | None = None) -> bool:
        """Return whether a file has an MD5.

        Args:
            file_path: The file.
            md5: Hexadecimal digits; without them the answer is False.
        """
        return self.calculate_md5(file_path) == md5

    @staticmethod
    def extract_tar(from_path: str, to_path: str | None = None, compression: str | None = None) -> None:
        """Unpack a tar archive; members that would land outside of the folder are refused.

        Args:
            from_path: The archive.
            to_path: Folder to unpack into; by default the archive's.
            compression: ``.gz``, ``.bz2`` or None; not needed, because it is detected in the archive.
        """
        with tarfile.open(from_path) as archive:
            archive.extractall(_folder(from_path, to_path), filter="data")

    @staticmethod
    def extract_zip(from_path: str, to_path: str | None = None, compression: str | None = None) -> None:
        """Unpack a zip archive.

        Args:
            from_path: The archive.
            to_path: Folder to unpack into; by default the archive's.
            compression: Not needed: it is detected in each member of the archive.
        """
        with zipfile.ZipFile(from_path) as archive:
            archive.extractall(_folder(from_path, to_path))

    def extract_archive(self, from_path: str, to_path: str | None = None) -> str:
        """Unpack an archive, or a compressed file beside itself.

        Args:
            from_path: Its path, whose suffix determines its kind.
            to_path: Folder to unpack an archive into; by default the archive's.

        Returns:
            The folder, or the path of the decompressed file.

        Raises:
            TypeError: The suffix is of another kind of file.
        """
        kind = detect_file_type(from_path)
        if kind is None:
            raise TypeError(f"{from_path}: not an archive: give .tar, .tar.gz, .tar.bz2, .zip, .gz or .bz2")
        suffix, archive, compression = kind
        if archive is None:
            target = from_path.removesuffix(suffix)
            with (
                write_atomically(Path(target)) as (partial,),
                OPENERS[suffix](from_path, "rb") as packed,
                partial.open("wb") as plain,
            ):
                shutil.copyfileobj(packed, plain)
            return target
        unpack = self.extract_tar if archive == ".tar" else self.extract_zip
        unpack(from_path, to_path, compression)
        return str(_folder(from_path, to_path))

    def download_file(self, url: str, file_path: str, chunk_size: int = 1024) -> None:
        """Fetch a file; it appears under its name when it is complete.

        Args:
            url: Its address, http or https.
            file_path: Where to put it.
            chunk_size: Not needed: the connection decides.

        Raises:
            UserError: It cannot be fetched or written.
        """
        _fetch(url, Path(file_path), None, self.largest)

    def download_url(
        self, url: str, path: str | None = None, filename: str | None = None, md5: str | None = None
    ) -> None:
        """Fetch a file into a folder. One that is there already and has the MD5 is not fetched again.

        Args:
            url: Its address, http or https.
            path: The folder, created if missing; by default `cache_folder`.
            filename: Its name; by default that in the address.
            md5: MD5 of the file, in hexadecimal digits.

        Raises:
            UserError: It cannot be fetched or written, or has another MD5.
        """
        folder = Path(path or cache_folder()).expanduser()
        target = folder / (filename or _name(url))
        if target.is_file() and (md5 is None or self.check_md5(str(target), md5)):
            return
        _fetch(url, target, md5, self.largest)

    def download_and_extract_archive(
        self,
        url: str,
        download_path: str | None = None,
        extract_path: str | None = None,
        filename: str | None = None,
        md5: str | None = None,
        remove_finished: bool = False,
    ) -> None:
        """Fetch an archive and unpack it.

        Args:
            url: Its address, http or https.
            download_path: Folder for the archive; by default `cache_folder`.
            extract_path: Folder to unpack into; by default that of the archive.
            filename: Name of the archive; by default that in the address.
            md5: MD5 of the archive, in hexadecimal digits.
            remove_finished: Whether to remove the archive afterwards.

        Raises:
            UserError: It cannot be fetched or written, or has another MD5.
        """
        folder = Path(download_path or cache_folder()).expanduser()
        archive = folder / (filename or _name(url))
        self.download_url(url, str(folder), archive.name, md5)
        self.extract_archive(str(archive), extract_path or str(folder))
        if remove_finished:
            archive.unlink()


def _folder(archive: str, to_path: str | None) -> Path:
    return Path(archive).parent if to_path is None else Path(to_path)


def _name(url: str) -> str:
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    if name in ("", ".", "..") or "\0" in name:
        raise UserError(f"{url}: the address does not end in a file's name: give filename")
    return name


def _fetch(url: str, target: Path, md5: str | None, largest: int) -> None:
    """Fetch a file under a name of this process's own, verify it and move it into place."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise UserError(f"{url}: files are fetched by http or https: give such an address")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # of an earlier process of this number, or put there by somebody else
        try:
            download(url, part, largest=largest)
            found = DownLoad.calculate_md5(str(part))
            if md5 is not None and found != md5:
                raise UserError(f"{url}: the MD5 of the file is {found}, not {md5}: try again or fix md5")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except DownloadError as error:
        raise UserError(f"{url} cannot be fetched ({error}): download it by hand to {target}") from None
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error.strerror}): choose another folder") from None
