"""Export of trained networks to ONNX, INT8 ONNX and MindIR files."""

from mindcv.export.export_options import ExportRequest
from mindcv.export.image_format import ImageFormat
from mindcv.export.measure import Measurement, measure, table, write_report
from mindcv.export.mindir import export_mindir
from mindcv.export.onnx_file import METADATA, export_onnx
from mindcv.export.quantization import quantize_onnx
from mindcv.export.verify import ExportError, Reference, expect

__all__ = [
    "METADATA",
    "ExportError",
    "ExportRequest",
    "ImageFormat",
    "Measurement",
    "Reference",
    "expect",
    "export_mindir",
    "export_onnx",
    "measure",
    "quantize_onnx",
    "table",
    "write_report",
]
