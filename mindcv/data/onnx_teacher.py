"""A teacher in an ONNX file, whose logits become a column of the batch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mindcv.files.onnx_network import OnnxNetwork

__all__ = ["OnnxTeacher", "with_teacher"]


class OnnxTeacher(OnnxNetwork):
    """A teacher in an ONNX file: an `OnnxNetwork` with as many classes as the student.

    MindSpore has no operator that runs an ONNX file, so the teacher cannot be part of the training step. As
    part of the data pipeline it is the same on every device, and works on the next batch while the device
    trains on this one. `check` it first: an error inside of a pipeline would reach the user wrapped in pages
    of MindSpore's.

    Args:
        path: The file.
        mean: Mean of each channel on the scale 0 to 255, as the teacher was trained.
        std: Standard deviation of each channel on the scale 0 to 255.
        num_classes: Classes of the student; the teacher must have as many.

    Raises:
        UserError: If onnxruntime is not installed, the file cannot be read, or its inputs and outputs do not
            fit.
    """

    kind = "teacher"
    other_size = "train at its size (image_resize, progressive_sizes)"

    def __init__(
        self, path: str | Path, *, mean: Sequence[float], std: Sequence[float], num_classes: int
    ) -> None:
        super().__init__(path, mean=mean, std=std, num_classes=num_classes)


def with_teacher(dataset: Any, teacher: Callable[[np.ndarray], np.ndarray]) -> Any:
    """Add the teacher's logits to batches that are ready for the student.

    Args:
        dataset: MindSpore dataset with the columns image ``[N, C, H, W]`` and label, augmented and batched.
        teacher: Takes the images of a batch and returns logits ``[N, num_classes]``, such as `OnnxTeacher`.

    Returns:
        MindSpore dataset with the columns image, label and teacher.
    """
    # One worker: the teacher's own threads share the work on a batch.
    with_logits = dataset.map(
        lambda images: (images, teacher(images)), "image", ["image", "teacher"], num_parallel_workers=1
    )
    return with_logits.project(["image", "label", "teacher"])
