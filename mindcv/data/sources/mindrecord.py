"""MindRecord: images and labels in a few large files, which MindSpore reads itself."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import mindspore.dataset as ds
import numpy as np
from mindspore import int32
from mindspore.dataset.transforms import TypeCast
from numpy.typing import NDArray

from mindcv.data.image_reading import checked_image
from mindcv.data.sources.classes_file import CLASSES_FILE, listed_classes
from mindcv.data.sources.mindrecord_check import REMEDY, check_records
from mindcv.data.sources.source import BadImage, Indices, LaterPasses, Source
from mindcv.data.workers import usable_workers
from mindcv.errors import UserError
from mindcv.files.inputs import size_of
from mindcv.ranges import MAX_IMAGE_PIXELS

__all__ = ["MindRecordSource"]

RECORD_FILE = re.compile(r"\.mindrecord\d*$")
IMAGE_COLUMNS = ("image", "data")
LABELS_A_READ = 4096
LABELS_END = 2**31  # labels are int32 in the pipeline


class MindRecordSource(Source):
    """The samples of one split of a MindRecord dataset.

    Args:
        root: Folder of the dataset, or a single file.
        split: The files are ``root/{split}.mindrecord``, with a number behind it if there are several, or all
            those in the folder ``root/{split}``. ``""`` takes those in `root` itself.
        max_image_pixels: An image of more pixels ends the run: MindSpore reads the files itself.

    Raises:
        UserError: If there are no such files, they are damaged, or they have no image or no label.
    """

    def __init__(self, root: str | Path, split: str, *, max_image_pixels: int = MAX_IMAGE_PIXELS) -> None:
        files = _record_files(Path(root), split)
        for file in files:
            check_records(file)
        self._files = [str(path) for path in files]
        self.origin = self._files[0]
        self._max_pixels = max_image_pixels
        self._failure = ""
        try:
            records = ds.MindDataset(self._files)
            self._size = records.get_dataset_size()
            columns = records.get_col_names()
        except (RuntimeError, ValueError):
            raise self._unreadable() from None
        image = next((name for name in IMAGE_COLUMNS if name in columns), None)
        if image is None or "label" not in columns:
            raise UserError(
                f"{self.origin} has the columns {', '.join(columns)}: it needs 'label', and 'image' or 'data'"
            )
        self._image = image

    def __len__(self) -> int:
        return self._size

    @cached_property
    def labels(self) -> NDArray[np.int32]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Label of each sample. Reading them takes a minute for a million samples on two cores."""
        rows = self._open(["label"], shuffle=False).batch(LABELS_A_READ)
        try:
            labels = [row[0] for row in rows.create_tuple_iterator(num_epochs=1, output_numpy=True)]
        except RuntimeError:
            raise self._unreadable() from None
        labels = np.concatenate(labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise UserError(f"{self.origin}: a label must be an integer, 0 or more")
        for label in (labels.min(), labels.max()):
            if not 0 <= label < LABELS_END:
                raise UserError(f"{self.origin} has the label {label}: give labels from 0 on")
        return labels.astype(np.int32)

    @cached_property
    def classes(self) -> list[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The lines of ``classes.txt`` beside the files or above their folder; without it, numbers.

        The format itself keeps no names. `mindcv pack` writes that file.
        """
        count = int(self.labels.max()) + 1
        folder = Path(self.origin).parent
        path = next((f / CLASSES_FILE for f in (folder, folder.parent) if (f / CLASSES_FILE).is_file()), None)
        names = [] if path is None else listed_classes(path)
        if names and len(names) < count:
            raise UserError(f"{path} lists {len(names)} classes, and {self.origin} has the label {count - 1}")
        return names or [str(label) for label in range(count)]

    def dataset(
        self,
        indices: Indices,
        *,
        later: LaterPasses | None = None,
        num_parallel_workers: int = 1,
        on_bad_image: BadImage = "fail",
    ) -> Any:
        """Return samples as a MindSpore dataset, see `Source.dataset`."""
        sampler = ds.SubsetSampler(indices.tolist())
        if later is not None:
            # MindSpore draws the order itself here, and a new one at each pass.
            # A SubsetRandomSampler would draw the same order at each pass.
            chosen, sampler = sampler, ds.RandomSampler()
            sampler.add_child(chosen)
        data = self._open([self._image, "label"], sampler=sampler, num_parallel_workers=num_parallel_workers)
        if self._image != "image":
            data = data.rename(self._image, "image")
        data = data.map(self._checked, "image", num_parallel_workers=num_parallel_workers)
        return data.map(TypeCast(int32), "label", num_parallel_workers=num_parallel_workers)

    def contents(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return the names of the files, and their sizes."""
        files = [Path(name) for name in self._files]
        return [file.name for file in files], [f"{file.name} has {size_of(file)}" for file in files]

    def diagnose(self, error: Exception) -> str:
        """Describe the image or the file that cannot be read, and the remedy; empty if all can."""
        if self._failure or "mindrecord/io" in str(error):  # a source file of MindSpore's reader
            return self._failure or str(self._unreadable())
        return ""

    def _checked(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        data, fault = checked_image(data, self._max_pixels)
        if fault:
            self._failure = f"an image of {self.origin} {fault}: write the MindRecord without it"
            raise UserError(self._failure)
        return data

    def _unreadable(self) -> UserError:
        return UserError(f"{self.origin} cannot be read as a MindRecord by MindSpore: {REMEDY}")

    def _open(self, columns: list[str], **options: Any) -> Any:
        options.setdefault("num_parallel_workers", usable_workers())
        return ds.MindDataset(self._files, columns_list=columns, **options)


def _record_files(root: Path, split: str) -> list[Path]:
    if root.is_file():
        return [root]
    folder = root / split
    if folder.is_dir():
        files = [path for path in folder.iterdir() if RECORD_FILE.search(path.name)]
    else:
        files = [path for path in root.glob(f"{split}.mindrecord*") if RECORD_FILE.search(path.name)]
    if not files:
        raise UserError(f"{root} holds no MindRecord of split={split!r}: {folder}.mindrecord is expected")
    return sorted(files)
