"""Read what a file name says, under the module path of MindCV."""

from mindcv.files.file_types import ALIASES, ARCHIVES, COMPRESSIONS, detect_file_type

__all__ = ["ARCHIVE_TYPE_SUFFIX", "COMPRESS_TYPE_SUFFIX", "FILE_TYPE_ALIASES", "detect_file_type"]

ARCHIVE_TYPE_SUFFIX = list(ARCHIVES)
COMPRESS_TYPE_SUFFIX = list(COMPRESSIONS)
FILE_TYPE_ALIASES = dict(ALIASES)
