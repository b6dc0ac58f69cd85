"""Options of an export, checked together before it starts."""

from dataclasses import dataclass
from pathlib import Path

from mindcv.choices import ExportFormat
from mindcv.errors import UserError
from mindcv.export.onnx_file import OPSET, check_opset, require_onnx
from mindcv.files.outputs import check_output_file

__all__ = ["ExportRequest"]

CALIBRATION_IMAGES = 128


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """Options of an export that fit together, with files that can be written.

    Args:
        format: Kind of file.
        output: The file.
        opset: Version of ONNX's operators; by default 20.
        uint8_input: Whether the file takes raw uint8 images and normalises them itself.
        quantize: Whether to write an INT8 version too.
        calibration_images: Number of images to measure the ranges of its activations on; by default 128.
        report: JSON file that receives accuracy, size and latency of both versions.

    Raises:
        UserError: If an option has no effect, a number is out of range, a file cannot be written, or a
            package is missing.
    """

    format: ExportFormat
    output: str
    opset: int | None = None
    uint8_input: bool = False
    quantize: bool = False
    calibration_images: int | None = None
    report: str | None = None

    def __post_init__(self) -> None:
        for name in ("opset", "quantize") if self.format == "mindir" else ():
            self._refuse(name, "has no effect on a MindIR file: leave it out, or give --format onnx")
        for name in ("calibration_images", "report") if not self.quantize else ():
            self._refuse(name, "needs the INT8 version: leave it out, or give --quantize")
        check_opset(self.operators)
        if self.calibration_images is not None and self.calibration_images < 1:
            raise UserError(f"calibration_images={self.calibration_images} must be a positive integer")
        check_output_file(self.path, f".{self.format}", option="output")
        if self.report is not None:
            check_output_file(Path(self.report), ".json", option="output")
        if self.format == "onnx":
            require_onnx()

    def _refuse(self, name: str, reason: str) -> None:
        value = getattr(self, name)
        if value is not None and value is not False:
            raise UserError(f"{name}={value} {reason}")

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.output)

    @property
    def int8_path(self) -> Path:
        """The INT8 version: ``mnasnet_int8.onnx`` for ``mnasnet.onnx``."""
        return self.path.with_name(f"{self.path.stem}_int8{self.path.suffix}")

    @property
    def operators(self) -> int:
        """The version of ONNX's operators."""
        return OPSET if self.opset is None else self.opset

    @property
    def calibration(self) -> int:
        """Number of images to calibrate on."""
        return CALIBRATION_IMAGES if self.calibration_images is None else self.calibration_images
