"""What a file's name says, under MindCV's module path."""

from mindcv.files.file_types import detect_file_type

__all__ = ["detect_file_type"]
