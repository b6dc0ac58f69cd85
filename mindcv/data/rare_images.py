"""Images in the rare forms that MindSpore decodes differently from Pillow, or not at all."""

import io
from threading import Lock
from typing import Any

from PIL import BmpImagePlugin, JpegImagePlugin, PpmImagePlugin, TiffImagePlugin

from mindcv.data.image_integrity import BMP, TIFF, size_fault
from mindcv.data.jpeg_markers import JPEG

__all__ = ["as_png"]

DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")  # modes that `convert` clips to 8 bits
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of a TIFF

_ONE_AT_A_TIME = Lock()  # several readers would need several times the memory of the largest image


def as_png(data: bytes, max_pixels: int) -> tuple[bytes, str]:
    """Return an image as an RGB PNG of the same pixels, and what is wrong with it.

    Args:
        data: Content of a BMP, TIFF or PNM file, or a JPEG in CMYK.
        max_pixels: Largest number of pixels.

    Returns:
        The PNG, and no fault; or nothing, and the fault in words that follow the file's name.
    """
    try:
        with _ONE_AT_A_TIME:
            return _converted(data, max_pixels)
    except MemoryError:
        return b"", "takes more memory than there is"
    except Exception:  # Pillow's readers raise whatever a damaged header leads to
        return b"", "cannot be decoded"


def _converted(data: bytes, max_pixels: int) -> tuple[bytes, str]:
    # Not Image.open: it would try all formats, and has a limit of its own.
    image: Any
    if data.startswith(BMP):
        image = BmpImagePlugin.BmpImageFile(io.BytesIO(data))
    elif data.startswith(JPEG):
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    elif data.startswith(TIFF):
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
        tile = image.tag_v2.get(TILE_WIDTH, 1) * image.tag_v2.get(TILE_LENGTH, 1)
        if tile > max_pixels:
            return b"", f"has tiles of {tile} pixels, more than max_image_pixels={max_pixels}"
    else:
        image = PpmImagePlugin.PpmImageFile(io.BytesIO(data))
    width, height = image.size
    if fault := size_fault(width, height, max_pixels):
        return b"", fault
    if image.mode in DEEP:
        return b"", "has more than 8 bits per channel: convert it to 8 bits"
    file = io.BytesIO()
    image.convert("RGB").save(file, "PNG", compress_level=1)
    return file.getvalue(), ""
