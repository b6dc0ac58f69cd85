"""Image files without labels: found by name, read and transformed in order."""

import glob
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from mindspore.dataset import vision
from mindspore.dataset.vision import ConvertMode
from numpy.typing import NDArray

from mindcv.data.catalogue import find_dataset
from mindcv.data.image_reading import read_file
from mindcv.data.sources.image_folder import EXTENSIONS
from mindcv.data.workers import usable_workers
from mindcv.errors import UserError
from mindcv.files.inputs import unreadable
from mindcv.ranges import MAX_IMAGE_PIXELS

__all__ = ["ImageFile", "ImageFiles", "list_images"]

READS_AHEAD = 64  # images of 224 pixels: 10 MB

# Files that MindSpore's decoder writes into the working directory when it fails.
DUMPS = ("abnormal_image.*", "unsupported_image.*")


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """An image file given by the user.

    Args:
        path: Its path, as the user gave it.
        pixels: The image, uint8 of shape ``[C, H, W]``; None where the file cannot be read.
        problem: The reason why it cannot be read.
    """

    path: str
    pixels: NDArray[np.uint8] | None = None
    problem: str = ""


def list_images(names: Sequence[str | Path]) -> list[str]:
    """List image files, those in folders and those that match patterns.

    Args:
        names: Files, with any extension; folders, which are searched recursively for images, except hidden
            ones; and patterns such as ``photos/*.jpg`` or
            ``photos/**/*.png``, where ``**`` stands for any folders. A name that
            exists is never taken as a pattern.

    Returns:
        The files in the order of the names, those of a folder or a pattern sorted; each file once.

    Raises:
        UserError: If a name matches no file, or a folder cannot be read.
    """
    found: dict[str, None] = {}
    for name in map(str, names):
        if not name:
            raise UserError("the name of an image is empty: give images, folders or patterns")
        files = _files(name)
        if not files:
            extensions = ", ".join(EXTENSIONS)
            raise UserError(
                f"{name} holds no image: MindSpore reads {extensions} files"
                if Path(name).is_dir()
                else f"{name}: no such file or folder, and no file matches it as a pattern: check the path"
            )
        found.update(dict.fromkeys(files))
    return list(found)


def _files(name: str) -> list[str]:
    if Path(name).is_dir():
        return _images_below(name)
    if Path(name).exists():
        return [name]
    # glob takes the start of nowhere/** for a match.
    matches = [match for match in sorted(glob.glob(name, recursive=True)) if os.path.lexists(match)]  # noqa: PTH207
    return [file for match in matches for file in (_images_below(match) if Path(match).is_dir() else [match])]


def _images_below(folder: str) -> list[str]:
    files = []

    def refuse(error: OSError) -> None:
        raise unreadable(os.fsdecode(error.filename), error)

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [
            os.path.join(parent, name)  # noqa: PTH118, as the user wrote it: pathlib drops ./
            for name in names
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        ]
    return sorted(files)


class ImageFiles:
    """Image files, read and transformed as in validation, several at a time, and in order.

    Iterating yields an `ImageFile` for each, with its image or with the reason why there is none.

    Args:
        names: Files, folders and patterns, see `list_images`.
        operators: Operators that turn a sample into the network's input, as from
            ``create_transforms(dataset_name)``.
        dataset_name: Dataset that the operators are for. If its samples are pixels instead of image files,
            such as those of MNIST, the files are decoded to such pixels.
        num_parallel_workers: Threads; by default, and at most, the machine's cores.
        max_image_pixels: An image of more pixels is not decoded.

    Attributes:
        paths: The files.

    Raises:
        UserError: If a name matches no file.
    """

    def __init__(
        self,
        names: Sequence[str | Path],
        operators: Sequence[Any],
        *,
        dataset_name: str = "",
        num_parallel_workers: int | None = None,
        max_image_pixels: int = MAX_IMAGE_PIXELS,
    ) -> None:
        self.paths = list_images(names)
        self._steps = [*_opened(dataset_name), *operators]
        self._max_pixels = max_image_pixels
        self._workers = usable_workers(num_parallel_workers)
        self._dumps = _dumps()
        self._clearing = threading.Lock()

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[ImageFile]:
        remaining = iter(self.paths)
        with ThreadPoolExecutor(self._workers, thread_name_prefix="transform-images") as pool:
            reads = deque(pool.submit(self._read, path) for path in islice(remaining, READS_AHEAD))
            while reads:
                image = reads.popleft().result()
                reads.extend(pool.submit(self._read, path) for path in islice(remaining, 1))
                yield image

    def _read(self, path: str) -> ImageFile:
        pixels: Any
        pixels, fault = read_file(path, self._max_pixels)
        try:
            for step in () if fault else self._steps:
                pixels = step(pixels)
        except (RuntimeError, TypeError, ValueError):
            fault = "cannot be decoded"
            with self._clearing:
                for dump in _dumps() - self._dumps:
                    dump.unlink(missing_ok=True)
        if fault:
            return ImageFile(path=path, problem=f"{path} {fault}: remove or replace it")
        return ImageFile(path=path, pixels=pixels)


def _opened(dataset_name: str) -> list[Any]:
    """Return the operators that turn an image file into a sample of a dataset."""
    info = find_dataset(dataset_name)
    if info.encoded:
        return []
    if info.channels == 3:
        return [vision.Decode()]
    # A grey image has lost its channel axis.
    return [vision.Decode(), vision.ConvertColor(ConvertMode.COLOR_RGB2GRAY), lambda grey: grey[..., None]]


def _dumps() -> set[Path]:
    return {path for pattern in DUMPS for path in Path().glob(pattern)}
