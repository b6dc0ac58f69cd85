"""Small images in memory, as they are after the operators in which chance has no part."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore.dataset import vision

from mindcv.data.evaluation_transforms import CenterCrop, PillowResize
from mindcv.data.sources.source import ArraySource, Source

__all__ = ["PreparedImages"]

MOST_BYTES = 2**29  # CIFAR at 48 px has 345 MB, the digits have 10 MB
NOT_RANDOM = (vision.Decode, vision.ConvertColor, vision.Resize, PillowResize, CenterCrop)


class PreparedImages:
    """Decodes and resizes the images of a small dataset once, instead of once an epoch.

    The pixels are those that the operators would return each time, and the random operators that follow draw
    what they would have drawn.

    Args:
        source: The images. All are read, and one that cannot be read is an error.
        most_bytes: Larger images are not kept.
    """

    def __init__(self, source: Source, most_bytes: int = MOST_BYTES) -> None:
        self._source = source
        self._most_bytes = most_bytes
        self._applied: list[Any] | None = None
        self._images: ArraySource | None = None  # None where they are too large

    def apply(self, operators: Sequence[Any], workers: int) -> tuple[Source, Sequence[Any]]:
        """Return images, and the operators that remain to be applied to each of them.

        Args:
            operators: Operators on an image of the source. Those that begin the list and draw no random
                numbers are applied here.
            workers: Threads.

        Returns:
            The prepared images with the remaining operators; the source with all operators if there are too
            many pixels.
        """
        end = next((i for i, o in enumerate(operators) if not isinstance(o, NOT_RANDOM)), len(operators))
        first, rest = list(operators[:end]), operators[end:]
        if not first:
            return self._source, operators
        if self._applied != first:
            self._images = None  # those of an earlier size give way
            self._images, self._applied = self._prepare(first, workers), first
        return (self._source, operators) if self._images is None else (self._images, rest)

    def _prepare(self, operators: list[Any], workers: int) -> ArraySource | None:
        source, count = self._source, len(self._source)
        rows = source.dataset(np.arange(count), num_parallel_workers=workers)
        rows = rows.map(operators, "image", num_parallel_workers=workers)
        images = None
        for i, (image, _) in enumerate(rows.create_tuple_iterator(num_epochs=1, output_numpy=True)):
            if images is None:
                if count * image.nbytes > self._most_bytes:
                    return None
                images = np.empty((count, *image.shape), np.uint8)
            images[i] = image
        return None if images is None else ArraySource(source.origin, source.classes, source.labels, images)
