"""ONNX files, run by ONNX Runtime on the host's CPU."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mindcv.errors import UserError
from mindcv.runtime.machine import usable_cores

__all__ = ["OnnxNetwork", "onnx_threads", "open_onnx"]

FLOAT, BYTES = "tensor(float)", "tensor(uint8)"


class OnnxNetwork:
    """A classifier in an ONNX file, run by ONNX Runtime on the host's CPU.

    The file has one input, images ``[N, C, H, W]``, and one output, logits ``[N, num_classes]``. Float32
    images are normalised here; a model that takes uint8 images gets them as they are. A model of a fixed
    batch size gets its images in batches of that size, the last one padded with black images.

    Args:
        path: The file.
        mean: Mean of each channel on the scale 0 to 255, as the network was trained.
        std: Standard deviation of each channel on the scale 0 to 255.
        num_classes: Number of logits that it must return; by default as many as it does. The attribute
            `num_classes` is then set once the file or a first batch shows the number.

    Raises:
        UserError: If onnxruntime is not installed, the file cannot be read, or its inputs and outputs do not
            fit.
    """

    kind = "network"  # its name in messages
    other_size = "set image_resize to its size"

    def __init__(
        self,
        path: str | Path,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        num_classes: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.num_classes = num_classes
        self.mean = np.reshape(mean, (-1, 1, 1)).astype(np.float32)
        self.scale = np.reshape(1 / np.asarray(std), (-1, 1, 1)).astype(np.float32)
        self.session = open_onnx(self.path)
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise self._error(
                f"has {len(inputs)} inputs and {len(outputs)} outputs",
                "export it with images as the only input and logits as the only output",
            )
        self.input = inputs[0]
        if self.input.type not in (FLOAT, BYTES):
            raise self._error(f"takes {self.input.type}", "export it with float32 or uint8 images")
        # A free dimension is a name or None; an empty list means that the dimensions are unknown.
        shape = [size if isinstance(size, int) else None for size in self.input.shape]
        if shape and len(shape) != 4:
            raise self._error(
                f"takes an input of {len(shape)} dimensions", "export it with images [N, C, H, W]"
            )
        self.batch_size, *self.image_shape = shape or [None] * 4
        shape = outputs[0].shape
        if shape and isinstance(shape[-1], int):
            self._check_classes(shape[-1])

    def check(self, *, batch_size: int, image_resize: int, in_channels: int = 3) -> None:
        """Run one batch of black images, so that a file that does not fit is found at the start.

        Args:
            batch_size: Batch size.
            image_resize: Height and width of the images.
            in_channels: Channels of the images.

        Raises:
            UserError: If the network takes other images or another number of them, or cannot run.
        """
        channels, *pixels = self.image_shape
        if channels not in (None, in_channels):
            raise self._error(
                f"takes images of {channels} channels, not in_channels={in_channels}",
                "export it with such images, [N, C, H, W]",
            )
        if any(size not in (None, image_resize) for size in pixels):
            raise self._error(
                f"takes images of {pixels[0] or 'any'} x {pixels[1] or 'any'} pixels, not "
                f"{image_resize} x {image_resize}",
                f"{self.other_size} or export it for any size",
            )
        if self.batch_size is not None and batch_size % self.batch_size:
            raise self._error(
                f"takes {self.batch_size} images at a time, and batch_size={batch_size} is not a multiple",
                f"set batch_size={-(-batch_size // self.batch_size) * self.batch_size} "
                "or export it with a free batch size",
            )
        self(np.zeros((batch_size, in_channels, image_resize, image_resize), np.uint8))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Compute the logits of a batch.

        Args:
            images: Shape [N, C, H, W], on the scale 0 to 255; uint8 for a model that takes uint8.

        Returns:
            float32 of shape [N, num_classes].

        Raises:
            UserError: If the model cannot run on them, or does not return one logit for each class.
        """
        if self.input.type == FLOAT:
            images = (images.astype(np.float32) - self.mean) * self.scale
        piece = self.batch_size or len(images)
        parts = [self._run(images[start : start + piece]) for start in range(0, len(images), piece)]
        return np.concatenate(parts)

    def _run(self, images: np.ndarray) -> np.ndarray:
        """Compute the logits of at most one batch of the model's own size."""
        missing = (self.batch_size or len(images)) - len(images)
        filled = np.concatenate([images, np.zeros_like(images[:1]).repeat(missing, 0)]) if missing else images
        try:
            (logits,) = self.session.run(None, {self.input.name: filled})
        except Exception as error:  # ONNX Runtime's exceptions have no other class in common
            problem = f"cannot run on images {list(filled.shape)} ({_reason(error, self.path)})"
            raise self._error(problem, "check the file") from None
        if logits.shape[:-1] != (len(filled),):
            raise self._error(
                f"returns {list(logits.shape)} for {len(filled)} images",
                "export it with logits [N, num_classes] and a free batch size",
            )
        self._check_classes(logits.shape[-1])
        return logits[: len(images)].astype(np.float32, copy=False)

    def _check_classes(self, classes: int) -> None:
        if self.num_classes is None:
            self.num_classes = classes
        if classes != self.num_classes:
            raise self._error(
                f"returns {classes} logits, not num_classes={self.num_classes}",
                f"use a {self.kind} of the same classes",
            )

    def _error(self, problem: str, remedy: str) -> UserError:
        return UserError(f"{self.path}: the {self.kind} {problem}: {remedy}")


def open_onnx(path: str | Path) -> Any:
    """Load an ONNX file.

    Args:
        path: The file.

    Returns:
        An ``onnxruntime.InferenceSession``, which gives the same input the same output to the last bit.

    Raises:
        UserError: If onnxruntime is not installed, or the file cannot be loaded.
    """
    path = Path(path)
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"{path}: an ONNX file needs a package: pip install onnxruntime") from None
    if not path.is_file():
        raise UserError(f"{path}: no such ONNX file: check the path")
    options = onnxruntime.SessionOptions()
    # Other ranks and the pipeline's workers need the same cores: a thread that waits must sleep, not spin.
    options.intra_op_num_threads = onnx_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what goes wrong is raised, too
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no other class in common
        raise UserError(f"{path}: cannot be loaded ({_reason(error, path)}): check the file") from None


def _reason(error: Exception, path: Path) -> str:
    """Return ONNX Runtime's message without its error code and the file's name."""
    text = str(error).split(" : ", 3)[-1].removeprefix(f"Load model from {path} failed:")
    return text.strip().rstrip(".")


def onnx_threads() -> int:
    """Return the number of compute threads: OMP_NUM_THREADS if set, otherwise this process's cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or usable_cores())
