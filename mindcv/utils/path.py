"""Read what a file name says, under the module path of MindCV."""

from mindcv.files.file_types import detect_file_type

__all__ = ["detect_file_type"]
