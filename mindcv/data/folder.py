"""Image folders: one folder a split, in it one folder a class, in it the images."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from mindspore.dataset import vision
from numpy.typing import NDArray

from mindcv.data.jpeg import is_cut_jpeg
from mindcv.data.sources import Sample, StreamSource
from mindcv.errors import UserError

__all__ = ["EXTENSIONS", "FolderSource", "class_index", "read_image"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp")  # MindSpore decodes no WebP and no GIF
CLASSES_FILE = "classes.txt"

# Eight readers hide the latency of a network disk (2 ms a file: 940 instead of 330 images/s, measured), and
# cost nothing on a local one.
READERS = 8
FILES_A_READ = 8
READS_AHEAD = 16

LAST_READ = 4096  # more than wait between the readers and the decoders


def class_index(root: str | Path, *splits: str) -> list[str]:
    """Class names in the order of their labels, shared by all splits.

    The order is that of the first split's folders, sorted, and all splits must have the same ones: a class
    missing from one of two folders would shift every label after it. A file ``classes.txt`` in `root`, one
    folder name a line, states the order instead; then a split may lack classes.

    Args:
        root: Folder of the dataset.
        splits: Names of its splits, training first. Those that are not on disk are passed over.

    Raises:
        UserError: If no split is there, if they differ in their classes, or if ``classes.txt`` lacks one.
    """
    root = Path(root)
    folders = {split: _class_folders(root / split) for split in splits if (root / split).is_dir()}
    if not any(folders.values()):
        raise UserError(_expected(root, splits[0]))
    listed = _listed_classes(root)
    if listed:
        for split, names in folders.items():
            unknown = _without(names, listed)
            if unknown:
                raise UserError(
                    f"{root / CLASSES_FILE} lacks {_quoted(unknown)} of {root / split}: add a line"
                )
        return listed
    (first, classes), *others = folders.items()
    for split, names in others:
        for there, absent, missing in (
            (first, split, _without(classes, names)),
            (split, first, _without(names, classes)),
        ):
            if missing:
                raise UserError(
                    f"{root / there} has the class {_quoted(missing)}, which {root / absent} lacks: "
                    f"add it there, or list all classes in {root / CLASSES_FILE}, one a line"
                )
    return classes


class FolderSource(StreamSource):
    """The images of one split of an image folder, listed once.

    Args:
        root: Folder of the dataset.
        split: Name of the split; ``""`` takes the class folders of `root` itself.
        classes: Class folders by label, as from `class_index`.

    Raises:
        UserError: If there is no such split, no image, or a class without an image that ``classes.txt`` does
            not state.
    """

    def __init__(self, root: str | Path, split: str, classes: Sequence[str]) -> None:
        folder = Path(root) / split
        if not folder.is_dir():
            raise UserError(_expected(Path(root), split))
        files = [_image_files(folder / name) for name in classes]
        empty = [name for name, names in zip(classes, files, strict=True) if not names]
        if len(empty) == len(files):
            raise UserError(f"{folder} holds no image: MindSpore reads {', '.join(EXTENSIONS)} files")
        if empty and not (Path(root) / CLASSES_FILE).is_file():
            raise UserError(
                f"{folder} holds no image of class {_quoted(empty)}: add some, or list all classes in "
                f"{Path(root) / CLASSES_FILE}, one a line"
            )
        # Fixed-width bytes take a third of the memory of a list of strings: 36 MB for ImageNet.
        self._names = np.array([name for names in files for name in names], dtype=np.bytes_)
        labels = np.repeat(np.arange(len(files), dtype=np.int32), [len(names) for names in files])
        super().__init__(str(folder), classes, labels)
        self._last_read: deque[np.int64] = deque(maxlen=LAST_READ)

    def path(self, index: int | np.int64) -> str:
        """File of a sample."""
        return f"{self.origin}/{self.classes[self.labels[index]]}/{os.fsdecode(self._names[index])}"

    def unreadable(self) -> list[str]:
        """Files among those read last that cannot be decoded."""
        decode = vision.Decode()
        bad = []
        for path in dict.fromkeys(map(self.path, list(self._last_read))):
            try:
                decode(read_image(path))
            except (RuntimeError, TypeError, ValueError, OSError):
                bad.append(path)
        return bad

    def read(self, indices: NDArray[np.int64]) -> Iterator[Sample]:
        """Files of the given samples in their order, read ahead by several threads."""
        chunks = (indices[start : start + FILES_A_READ] for start in range(0, len(indices), FILES_A_READ))
        with ThreadPoolExecutor(READERS, thread_name_prefix="read-images") as pool:
            reads = deque(pool.submit(self._read_files, chunk) for chunk in islice(chunks, READS_AHEAD))
            while reads:
                samples = reads.popleft().result()
                reads.extend(pool.submit(self._read_files, chunk) for chunk in islice(chunks, 1))
                yield from samples

    def _read_files(self, indices: NDArray[np.int64]) -> list[Sample]:
        self._last_read.extend(indices)
        return [(read_image(self.path(index)), self.labels[index]) for index in indices]


def read_image(path: str) -> NDArray[np.uint8]:
    """The bytes of an image file, uint8 of shape ``[n]``.

    Raises:
        UserError: If it is a JPEG that was cut short where MindSpore's decoders crash.
    """
    data = np.fromfile(path, np.uint8)
    if is_cut_jpeg(data.tobytes()):
        raise UserError(f"{path} is cut short: remove or replace it")
    return data


def _class_folders(split: Path) -> list[str]:
    with os.scandir(split) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _image_files(folder: Path) -> list[bytes]:
    """Names of the images in a class folder, sorted; a class without a folder has none."""
    if not folder.is_dir():
        return []
    with os.scandir(os.fsencode(folder)) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(b".")]
    extensions = tuple(extension.encode() for extension in EXTENSIONS)
    return sorted(name for name in names if name.lower().endswith(extensions))


def _listed_classes(root: Path) -> list[str]:
    path = root / CLASSES_FILE
    if not path.is_file():
        return []
    classes = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    repeated = [name for name, count in Counter(classes).items() if count > 1]
    if repeated or not classes:
        what = f"lists {_quoted(repeated)} more than once" if repeated else "is empty"
        raise UserError(f"{path} {what}: give every class one line")
    return classes


def _expected(root: Path, split: str) -> str:
    missing = root if not root.is_dir() else root / split
    pattern = root / split / "CLASS" / "IMAGE.jpg"
    return f"{missing} is no folder of images: data_dir should hold one folder a class, as in {pattern}"


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    return sorted(set(names) - set(others))


def _quoted(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(f"'{name}'" for name in names[:shown]) + more
