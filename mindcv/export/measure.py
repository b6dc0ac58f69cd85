"""Accuracy, size and latency of exported files, side by side."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindcv.export.checked_output import finished_files
from mindcv.export.image_format import ImageFormat, Pixels
from mindcv.export.onnx_file import session_logits
from mindcv.files.onnx_network import onnx_threads, open_onnx
from mindcv.runtime.machine import processor_name

__all__ = ["Measurement", "correct", "measure", "table", "write_report"]

RUNS, WARM_UP = 50, 5


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Accuracy, size and latency of one file.

    Args:
        file: Its name.
        images: Number of validation images.
        top1: How many of them were classified correctly.
        top5: How many had their class among the five most probable ones.
        bytes: Size of the file.
        latency_ms: Median time of one image, in milliseconds.
    """

    file: str
    images: int
    top1: int
    top5: int
    bytes: int
    latency_ms: float


def correct(logits: NDArray, labels: NDArray, k: int) -> int:
    """Count the labels that are among the first k predictions.

    A label whose logit equals others ranks behind them, and one whose logit is NaN does not count, as in the
    toolkit's own evaluation.

    Args:
        logits: Shape [N, num_classes].
        labels: Class indices of shape [N].
        k: Number of predictions.
    """
    target = np.take_along_axis(logits, labels[:, None].astype(np.int64), 1)
    beaten = (logits < target).sum(1)
    return int(
        (beaten >= logits.shape[1] - k).sum() - (np.isnan(target[:, 0]) & (k >= logits.shape[1])).sum()
    )


def measure(
    paths: Sequence[Path], images: ImageFormat, batches: Iterable[tuple[Pixels, NDArray]]
) -> list[Measurement]:
    """Score files on the same images, and time them alternately, so that the load affects all equally.

    Args:
        paths: ONNX files that take the same images.
        images: The images that they take.
        batches: Validation images and their labels of shape [N], each image once.
    """
    sessions = [open_onnx(path) for path in paths]
    runs = [session_logits(session) for session in sessions]
    counts = np.zeros((len(paths), 3), np.int64)
    one: Any = None
    for pixels, labels in batches:
        given = images.given(pixels)
        one = given[:1].copy()
        for count, run in zip(counts, runs, strict=True):
            logits = run(given)
            count += (len(labels), correct(logits, labels, 1), correct(logits, labels, 5))
    times = np.zeros((RUNS, len(paths)))
    for row in [*np.empty((WARM_UP, len(paths))), *times]:
        for index, run in enumerate(runs):
            start = time.perf_counter()
            run(one)
            row[index] = time.perf_counter() - start
    return [
        Measurement(
            file=path.name,
            images=int(count[0]),
            top1=int(count[1]),
            top5=int(count[2]),
            bytes=path.stat().st_size,
            latency_ms=float(1000 * np.median(taken)),
        )
        for path, count, taken in zip(paths, counts, times.T, strict=True)
    ]


def table(measurements: Sequence[Measurement], size: int) -> str:
    """Return the measurements as a table.

    Args:
        measurements: The measurements.
        size: Height and width of the images in pixels.
    """
    width = max(len(m.file) for m in measurements)
    lines = [f"{'':{width}}   top-1   top-5       size    latency"]
    for m in measurements:
        lines.append(
            f"{m.file:{width}}  {m.top1 / m.images:.4f}  {m.top5 / m.images:.4f}  {m.bytes / 1e6:6.2f} MB"
            f"  {m.latency_ms:6.2f} ms"
        )
    facts = environment()
    lines.append(
        f"{measurements[0].images} images of {size} x {size}; latency of one image, median of {RUNS} runs, "
        f"{facts['threads']} threads, {facts['processor']}"
    )
    return "\n".join(lines)


def environment() -> dict[str, Any]:
    """Return the machine and the settings of the measurements."""
    import onnxruntime

    return {
        "processor": processor_name(),
        "threads": onnx_threads(),
        "latency_runs": RUNS,
        "onnxruntime": onnxruntime.__version__,
    }


def write_report(path: str | Path, measurements: Sequence[Measurement], **facts: Any) -> None:
    """Write the measurements as JSON.

    Args:
        path: File to write.
        measurements: The measurements.
        facts: Further entries.

    Raises:
        UserError: If the file cannot be written.
    """
    content = {**facts, **environment(), "files": [asdict(measurement) for measurement in measurements]}
    with finished_files(Path(path)) as (temporary,):
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
