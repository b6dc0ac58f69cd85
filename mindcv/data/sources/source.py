"""Base classes of datasets: samples in random access, of which a MindSpore dataset yields any sequence."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import mindspore.dataset as ds
import numpy as np
from numpy.typing import NDArray

__all__ = ["ArraySource", "BadImage", "Sample", "Source", "StreamSource", "stream"]

Sample = tuple[NDArray[np.uint8], Any]  # an image, and its label: an int32 scalar
Indices = NDArray[np.int64]
LaterPasses = Callable[[int], Indices]

# What happens if an image cannot be read: the pass ends; or the next image of the pass replaces it, or the
# next one of its class, or a black image with the label -1.
BadImage = Literal["fail", "skip", "replace", "blank"]


class Source(ABC):
    """A set of labelled images, with labels known in advance.

    Attributes:
        origin: Where it comes from, for messages.
        classes: Name of each class, by label.
        labels: Label of each sample, int32 of shape ``(len(self),)``.
    """

    origin: str
    classes: Sequence[str]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def dataset(
        self,
        indices: Indices,
        *,
        later: LaterPasses | None = None,
        num_parallel_workers: int = 1,
        on_bad_image: BadImage = "fail",
    ) -> Any:
        """Return samples as a MindSpore dataset.

        Args:
            indices: Samples to yield.
            later: Returns the samples of a further pass by its number, from 1; as many as `indices`. By
                default all passes are the same.
            num_parallel_workers: Threads that read, where MindSpore reads the files itself.
            on_bad_image: What to do if an image cannot be read, where samples are files. Pixels in
                memory are never bad, and where MindSpore reads the files itself a bad image always fails.

        Returns:
            A dataset with the columns image (uint8: the bytes of a file, or pixels ``[H, W, C]``) and label
            (int32, scalar).
        """

    def contents(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return names of the files, and texts about what they hold: equal where two copies are equal."""
        return [], [f"{len(self)} images"]

    def sample_name(self, index: int) -> str:
        """Return what a reader knows a sample by: its file below the split, or its number."""
        return f"image {index}"

    def diagnose(self, error: Exception) -> str:
        """Describe what is wrong with the files read last, and the remedy; empty if nothing is.

        Args:
            error: The exception that MindSpore raised.
        """
        return ""

    def bad_images(self, outcome: str, *, rank: str = "", always: bool = True) -> str:
        """Report bad images since the last call, see `BadImages.report`; empty if samples are not files."""
        return ""


class StreamSource(Source):
    """A source whose samples Python reads.

    Args:
        origin: Where it comes from.
        classes: Name of each class.
        labels: Label of each sample.
    """

    def __init__(self, origin: str, classes: Sequence[str], labels: NDArray[np.int32]) -> None:
        self.origin = origin
        self.classes = classes
        self.labels = labels

    @abstractmethod
    def read(self, indices: Indices, on_bad_image: BadImage = "fail") -> Iterator[Sample]:
        """Yield the samples with the given indices, in their order."""

    def dataset(
        self,
        indices: Indices,
        *,
        later: LaterPasses | None = None,
        num_parallel_workers: int = 1,
        on_bad_image: BadImage = "fail",
    ) -> Any:
        """Return samples as a MindSpore dataset, see `Source.dataset`; one thread produces them."""

        def samples(number: int) -> Iterator[Sample]:
            return self.read(later(number) if later and number else indices, on_bad_image)

        return stream(["image", "label"], samples, len(indices))


def stream(columns: Sequence[str], rows: Callable[[int], Iterable[tuple[Any, ...]]], length: int) -> Any:
    """Return a MindSpore dataset of rows that Python produces, in one thread.

    Args:
        columns: Names of the columns.
        rows: Returns the rows of a pass by its number, from 0.
        length: Rows of each pass.
    """
    # More than one generator worker polls with a sleep of 0.1 s: one is faster.
    return ds.GeneratorDataset(
        _Stream(rows, length),
        column_names=list(columns),
        num_parallel_workers=1,
        python_multiprocessing=False,
    )


class _Stream:
    """Iterable of a `GeneratorDataset`: without `__getitem__`, MindSpore puts no sampler before it."""

    def __init__(self, rows: Callable[[int], Iterable[tuple[Any, ...]]], length: int) -> None:
        self._rows = rows
        self._length = length
        self._passes = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        # A generator: MindSpore also asks for an iterator only to see whether there is one.
        number = self._passes
        self._passes += 1
        yield from self._rows(number)


class ArraySource(StreamSource):
    """Images in memory.

    Args:
        origin: Where they come from.
        classes: Name of each class.
        labels: Label of each image.
        images: Pixels, uint8 of shape ``[N, H, W, C]``.
    """

    def __init__(
        self, origin: str, classes: Sequence[str], labels: NDArray[np.int32], images: NDArray[np.uint8]
    ) -> None:
        super().__init__(origin, classes, labels)
        self._images = images

    def contents(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return no names, and the checksum of labels and pixels."""
        checksum = hashlib.sha256(self.labels.tobytes())
        checksum.update(np.ascontiguousarray(self._images).data)
        return [], [f"{len(self)} images with checksum {checksum.hexdigest()[:8]}"]

    def read(self, indices: Indices, on_bad_image: BadImage = "fail") -> Iterator[Sample]:
        """Yield the images with the given indices, in their order."""
        for index in indices:
            yield self._images[index], self.labels[index]
