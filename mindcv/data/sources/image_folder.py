"""Image folders: one folder per split, in it one folder per class, in it the images."""

import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from mindspore.dataset import vision
from numpy.typing import NDArray

from mindcv.data.bad_images import BadImages
from mindcv.data.image_reading import BLANK, read_file
from mindcv.data.sources.classes_file import CLASSES_FILE, SHOWN, listed_classes, quoted
from mindcv.data.sources.source import BadImage, Sample, StreamSource
from mindcv.errors import UserError
from mindcv.files.inputs import expected_folder, size_of
from mindcv.ranges import MAX_IMAGE_PIXELS

__all__ = ["EXTENSIONS", "FolderSource", "class_index"]

logger = logging.getLogger("mindcv.data")

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp")  # MindSpore decodes no WebP and no GIF

# Eight readers hide the latency of a network disk (2 ms a file: 940 instead of 330 images/s, measured), and
# cost nothing on a local one.
READERS = 8
FILES_A_READ = 8
READS_AHEAD = 16

SIZES = 50_000  # files whose sizes are compared between ranks: some 13 s on that network disk
SIZES_A_READ = 500

LAST_READ = 4096  # more than wait between the readers and the decoders


def class_index(root: str | Path, *splits: str) -> list[str]:
    """Return the class names in the order of their labels, shared by all splits.

    The order is that of the first split's folders, sorted, and all splits must have the same ones: a class
    missing from one of two folders would shift every label after it. A file ``classes.txt`` in `root`, one
    folder name per line, states the order instead; then a split may lack classes.

    Args:
        root: Folder of the dataset.
        splits: Names of its splits, training first. Those that are not on disk are skipped.

    Raises:
        UserError: If no split is there, if they differ in their classes, or if ``classes.txt`` lacks one.
    """
    root = Path(root)
    folders = {split: _class_folders(root / split) for split in splits if (root / split).is_dir()}
    if not any(folders.values()):
        raise UserError(expected_folder(root, splits[0]))
    listed = listed_classes(root / CLASSES_FILE)
    if listed:
        for split, names in folders.items():
            unknown = _without(names, listed)
            if unknown:
                raise UserError(
                    f"{root / CLASSES_FILE} lacks {quoted(unknown)} of {root / split}: add a line"
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
                    f"{root / there} has the class {quoted(missing)}, which {root / absent} lacks: "
                    f"add it there, or list all classes in {root / CLASSES_FILE}, one per line"
                )
    return classes


class FolderSource(StreamSource):
    """The images of one split of an image folder, listed once.

    Args:
        root: Folder of the dataset.
        split: Name of the split; ``""`` takes the class folders of `root` itself.
        classes: Class folders by label, as from `class_index`.
        max_image_pixels: An image of more pixels is a bad one.

    Raises:
        UserError: If there is no such split, no image, or a class without an image that ``classes.txt`` does
            not state.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        classes: Sequence[str],
        *,
        max_image_pixels: int = MAX_IMAGE_PIXELS,
    ) -> None:
        folder = Path(root) / split
        if not folder.is_dir():
            raise UserError(expected_folder(Path(root), split))
        listed = [_image_files(folder / name) for name in classes]
        files = [names for names, _ in listed]
        others = sum(count for _, count in listed)
        if others:
            logger.warning("skipped %d files in %s that are not %s", others, folder, ", ".join(EXTENSIONS))
        empty = [name for name, names in zip(classes, files, strict=True) if not names]
        if len(empty) == len(files):
            raise UserError(f"{folder} holds no image: MindSpore reads {', '.join(EXTENSIONS)} files")
        if empty and not (Path(root) / CLASSES_FILE).is_file():
            raise UserError(
                f"{folder} holds no image of class {quoted(empty)}: add some, or list all classes in "
                f"{Path(root) / CLASSES_FILE}, one per line"
            )
        # Fixed-width bytes take a third of the memory of a list of strings: 36 MB for ImageNet.
        self._names = np.array([name for names in files for name in names], dtype=np.bytes_)
        labels = np.repeat(np.arange(len(files), dtype=np.int32), [len(names) for names in files])
        super().__init__(str(folder), classes, labels)
        self._max_pixels = max_image_pixels
        self._last_read: deque[np.int64] = deque(maxlen=LAST_READ)
        self._bad_images = BadImages(self.origin)
        self._known_bad: set[int] = set()  # skipped without reading in a search for a replacement
        self._failure = ""

    def path(self, index: int | np.int64) -> str:
        """Return the file of a sample."""
        return f"{self.origin}/{self._name(index)}"

    def sample_name(self, index: int) -> str:
        """Return the file of a sample below its split."""
        return self._name(index)

    def _name(self, index: int | np.int64) -> str:
        return f"{self.classes[self.labels[index]]}/{os.fsdecode(self._names[index])}"

    def _content(self, index: int) -> tuple[NDArray[np.uint8], str]:
        return read_file(self.path(index), self._max_pixels)

    def contents(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return the names of the files, and the sizes of up to `SIZES` of them, spread over the split."""
        classes = np.array(self.classes, object)[self.labels]
        names = [f"{label}/{os.fsdecode(name)}" for label, name in zip(classes, self._names, strict=True)]
        some = names[:: max(1, -(-len(names) // SIZES))]
        chunks = [some[start : start + SIZES_A_READ] for start in range(0, len(some), SIZES_A_READ)]

        def sizes(chunk: list[str]) -> list[str]:
            return [f"{name} has {size_of(f'{self.origin}/{name}')}" for name in chunk]

        with ThreadPoolExecutor(READERS) as pool:
            return names, [text for texts in pool.map(sizes, chunks) for text in texts]

    def bad_images(self, outcome: str, *, rank: str = "", always: bool = True) -> str:
        """Report bad images since the last call, see `BadImages.report`."""
        return self._bad_images.report(outcome, rank=rank, always=always)

    def diagnose(self, error: Exception) -> str:
        """Describe what is wrong with the files read last, and the remedy; empty if nothing is."""
        if self._failure or self._has_vanished():
            return self._failure or f"data_dir={self.origin} has vanished: is its disk still mounted?"
        faults = {}
        for index in dict.fromkeys(map(int, list(self._last_read))):
            data, fault = self._content(index)
            if index not in self._known_bad and (fault or not _decodes(data)):
                faults[self.path(index)] = fault
        return _advice(faults) if faults else ""

    def read(self, indices: NDArray[np.int64], on_bad_image: BadImage = "fail") -> Iterator[Sample]:
        """Yield the files of the given samples in their order, read ahead by several threads."""
        chunks = (
            range(start, min(start + FILES_A_READ, len(indices)))
            for start in range(0, len(indices), FILES_A_READ)
        )

        def read_places(places: range) -> list[Sample]:
            self._last_read.extend(indices[places.start : places.stop])
            return [self._read_place(indices, place, on_bad_image) for place in places]

        with ThreadPoolExecutor(READERS, thread_name_prefix="read-images") as pool:

            def submit(count: int) -> list[Future[list[Sample]]]:
                return [pool.submit(read_places, places) for places in islice(chunks, count)]

            reads = deque(submit(READS_AHEAD))
            while reads:
                samples = reads.popleft().result()
                reads.extend(submit(1))
                yield from samples

    def _read_place(self, indices: NDArray[np.int64], place: int, on_bad_image: BadImage) -> Sample:
        """Return the sample at a place in the order; a bad one is replaced by another one from the order."""
        index = int(indices[place])
        data, fault = self._content(index)
        if not fault:
            return data, self.labels[index]
        if on_bad_image == "fail" or self._has_vanished():
            raise UserError(_advice({self.path(index): fault}))
        self._known_bad.add(index)
        self._bad_images.add(self._name(index), fault)
        if on_bad_image == "blank":
            return BLANK, np.int32(-1)
        for other in self._others(indices, place, on_bad_image):
            self._last_read.append(np.int64(other))
            data, fault = self._content(other)
            if not fault:
                return data, self.labels[other]
            self._known_bad.add(other)
        what = f"of class '{self.classes[self.labels[index]]}' " if on_bad_image == "replace" else ""
        self._failure = f"no image {what}in {self.origin} can be read: {self.path(index)} {fault}"
        raise UserError(self._failure)

    def _others(self, indices: NDArray[np.int64], place: int, on_bad_image: BadImage) -> Iterator[int]:
        """Yield replacements for an image: the rest of its class, or of the order, from it on and around."""
        members = indices
        if on_bad_image == "replace":
            label = self.labels[indices[place]]
            begin, end = np.searchsorted(self.labels, [label, label + 1])  # classes come one after another
            members, place = np.arange(begin, end), int(indices[place] - begin)
        for step in range(1, len(members)):
            other = int(members[(place + step) % len(members)])
            if other not in self._known_bad:
                yield other

    def _has_vanished(self) -> bool:
        return not Path(self.origin).is_dir()


def _advice(faults: dict[str, str]) -> str:
    """Describe damaged files in one line: the fault of each, if known, and the remedy."""
    (path, fault), *more = faults.items()
    # What only the decoder notices fails in any case.
    option = ", or set on_bad_image to skip" if all(faults.values()) else ""
    if any("max_image_pixels" in known for known in faults.values()):
        option = f", raise max_image_pixels{option}"
    what = f"{path} {fault or 'cannot be decoded'}: remove or replace it"
    if more:
        others = f" and {len(more) - SHOWN + 1} more" if len(more) >= SHOWN else ""
        what = f"{', '.join([*faults][:SHOWN])}{others} cannot be read as images: remove or replace them"
    return what + option


def _decodes(data: NDArray[np.uint8]) -> bool:
    try:
        vision.Decode()(data)
    except (RuntimeError, TypeError, ValueError):
        return False
    return True


def _class_folders(split: Path) -> list[str]:
    with os.scandir(split) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _image_files(folder: Path) -> tuple[list[bytes], int]:
    """Return the names of the images in a class folder, sorted, and the number of other files."""
    if not folder.is_dir():
        return [], 0
    with os.scandir(os.fsencode(folder)) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(b".")]
    extensions = tuple(extension.encode() for extension in EXTENSIONS)
    images = sorted(name for name in names if name.lower().endswith(extensions))
    return images, len(names) - len(images)


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    return sorted(set(names) - set(others))
