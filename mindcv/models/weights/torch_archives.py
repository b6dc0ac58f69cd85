"""The structure of PyTorch files, checked before PyTorch reads them: it takes their word for sizes.

PyTorch's weights-only loader runs no code, but it would unpack an archive to any size, build keys whose hash
takes years to compute, and follow a pickle that never ends.
"""

import pickle
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, ClassVar

__all__ = ["ArchiveError", "checked_archive"]

_ZIP = b"PK\x03\x04"
# The first of the pickles of a file that PyTorch wrote before 1.6, which holds a number.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_PICKLES = 5  # magic number, protocol, system, content, names of the storages

MAX_PICKLE = 8 << 20  # bytes that describe the tensors; 300 of them take 80 kB
MAX_TUPLE = 1000  # elements of a tuple, counted again wherever they are shared


class ArchiveError(ValueError):
    """The bytes are not a PyTorch file of weights; the message is the reason."""


def checked_archive(content: bytes) -> tuple[bytes, bool]:
    """Check the structure of a PyTorch file: its archive, with checksums, and its pickles.

    An archive is written again from its entries, because PyTorch's own reader sees other things in some: it
    takes an entry whose attributes say "folder" for one, and returns whatever is in the memory.

    Args:
        content: The file.

    Returns:
        The content that PyTorch may read, and whether it had checksums: those of PyTorch 1.6 and later do.

    Raises:
        ArchiveError: If it is damaged, or would take much more memory or time than its size.
    """
    try:
        if content.startswith(_ZIP):
            return _written_again(_entries(content)), True
        is_legacy = content.startswith(_LEGACY) and not tarfile.is_tarfile(BytesIO(content))
        if is_legacy:
            _inspect(BytesIO(content), _LEGACY_PICKLES)
    except ArchiveError:
        raise
    except Exception:  # damaged bytes can raise any error
        raise ArchiveError("it is damaged") from None
    if not is_legacy:
        raise ArchiveError("it begins like another kind of file")
    return content, False


def _entries(content: bytes) -> dict[str, bytes]:
    """Return the entries of an archive, whose checksums are right."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        entries = archive.infolist()
        if len({entry.filename for entry in entries}) != len(entries):
            raise ArchiveError("an entry occurs twice")
        if any(e.compress_type != zipfile.ZIP_STORED or e.file_size != e.compress_size for e in entries):
            raise ArchiveError("it is compressed, which torch.save does not do")
        if sum(entry.file_size for entry in entries) > len(content):
            raise ArchiveError("its entries overlap")
        found = {entry.filename: archive.read(entry) for entry in entries}
    pickles = [name for name in found if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ArchiveError("it lacks data.pkl")
    _inspect(BytesIO(found[pickles[0]]))
    return found


def _written_again(entries: Mapping[str, bytes]) -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return written.getvalue()


def _inspect(file: BytesIO, count: int = 1) -> None:
    """Follow pickles without building anything but containers."""
    limited = _Limited(file)
    for _ in range(count):
        _Inspector(limited).load()


class _Limited:
    """A file of which a limited number of bytes can be read."""

    def __init__(self, file: BytesIO) -> None:
        self.file = file
        self.left = MAX_PICKLE

    def read(self, size: int) -> bytes:
        return self._count(self.file.read(size))

    def readline(self) -> bytes:
        return self._count(self.file.readline())

    def readinto(self, _: bytearray) -> int:
        raise ArchiveError("it holds more than weights")

    def _count(self, content: bytes) -> bytes:
        self.left -= len(content)
        if self.left < 0:
            raise ArchiveError(f"its description has more than {MAX_PICKLE >> 20} MB")
        return content


class _Inert:
    """Stands for any object that a pickle wants to create."""

    def __new__(cls, *_: object) -> "_Inert":
        return object.__new__(_Inert)  # a pickle may give an object in place of a class

    def __init__(self, *_: object) -> None:
        pass

    def __call__(self, *_: object) -> "_Inert":
        return self

    def __setstate__(self, _: object) -> None:
        pass

    def __setitem__(self, key: object, _: object) -> None:
        hash(key)

    def append(self, _: object) -> None:
        """Ignore an element."""

    def extend(self, _: object) -> None:
        """Ignore elements."""

    def add(self, key: object) -> None:
        """Ignore an element of a set."""
        hash(key)


def _counted(load: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a function that builds a tuple and counts its elements."""

    def run(inspector: Any) -> None:
        load(inspector)
        inspector.count(inspector.stack[-1])

    return run


# The implementation in Python: that in C allocates memory for the largest number of a memo in the pickle.
class _Inspector(pickle._Unpickler):  # type: ignore[name-defined]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]
    for _code in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3):
        dispatch[_code[0]] = _counted(dispatch[_code[0]])

    def __init__(self, file: _Limited) -> None:
        super().__init__(file, encoding="utf-8")
        self.sizes: dict[int, int] = {}
        self.tuples: list[tuple] = []  # kept, so that no other object gets the identity of one

    def find_class(self, module: str, name: str) -> type:
        return _Inert

    def persistent_load(self, pid: object) -> _Inert:
        return _Inert()

    def count(self, made: tuple) -> None:
        """Refuse a tuple whose elements, counted again wherever they are shared, are too many to compare."""
        size = 1 + sum(self.sizes.get(id(item), 1) for item in made)
        if size > MAX_TUPLE:
            raise ArchiveError("it holds tuples of tuples without end")
        self.sizes[id(made)] = size
        self.tuples.append(made)
