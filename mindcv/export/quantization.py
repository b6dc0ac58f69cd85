"""INT8 files: post-training static quantisation of an exported network by ONNX Runtime."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mindcv.errors import UserError
from mindcv.export.checked_output import finished_files
from mindcv.export.image_format import ImageFormat, Pixels
from mindcv.export.onnx_file import require_onnx
from mindcv.files.onnx_network import open_onnx
from mindcv.runtime.quiet import quiet_logging

__all__ = ["quantize_onnx"]


def quantize_onnx(path: Path, output: Path, images: ImageFormat, calibration: Iterable[Pixels]) -> None:
    """Write the INT8 version of a file that `export_onnx` has written.

    Activations get 8 bits without sign, in the range that they have on the calibration images; weights get
    7 bits with sign, in a range of their own for each output channel. With an eighth bit the sums of two
    products do not fit the 16-bit registers in which x86 processors without VNNI add them up: they are
    clipped there silently, and the accuracy of such a file depends on the machine.

    Args:
        path: The float32 file.
        output: File to write; it takes the same images and has the same metadata.
        images: The images that the file takes.
        calibration: Batches of images to measure the ranges of activations on.

    Raises:
        UserError: If a package is missing, there is no calibration image, or the file cannot be written.
    """
    require_onnx()
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        """Feeds batches of images to ONNX Runtime."""

        def __init__(self, name: str) -> None:
            self.feeds: Iterator[dict[str, NDArray]] = ({name: images.given(b)} for b in calibration)

        def get_next(self) -> Any:
            return next(self.feeds, None)

    (given,) = open_onnx(path).get_inputs()
    with finished_files(output) as (temporary,), quiet_logging():
        try:
            quantization.quantize_static(
                str(path),
                str(temporary),
                Reader(given.name),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
            )
        except ValueError as error:
            if "No data is collected" not in str(error):
                raise
            raise UserError(
                f"{output}: there is no image to calibrate with: give a folder with images"
            ) from None
