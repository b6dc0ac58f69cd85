"""Reading of image files: their content in a form that MindSpore decodes, or what is wrong with it."""

import io
import os
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindcv.data.image_integrity import fault_of, is_plain, without_extras
from mindcv.data.rare_images import as_png
from mindcv.ranges import MAX_IMAGE_PIXELS

__all__ = ["BLANK", "checked_image", "file_content", "read_file"]

LARGEST_FILE = 1 << 30  # bytes; what is larger is none of an image of `max_image_pixels`


def read_file(path: str, max_pixels: int = MAX_IMAGE_PIXELS) -> tuple[NDArray[np.uint8], str]:
    """Return a file's content and what is wrong with it, in words that follow its name.

    Args:
        path: The file.
        max_pixels: Largest number of pixels, see `checked_image`.
    """
    content, fault = file_content(path)
    if fault:
        return BLANK, fault
    return checked_image(np.frombuffer(content, np.uint8), max_pixels)


def file_content(path: str | Path) -> tuple[bytes, str]:
    """Return a file's bytes and why they cannot be read, in words that follow its name.

    A pipe would be waited for, and a device would have no end.
    """
    try:
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                return b"", "is not an ordinary file"
            if state.st_size > LARGEST_FILE:
                return b"", f"is larger than {LARGEST_FILE >> 30} GB"
            return file.readall(), ""
    except FileNotFoundError:
        return b"", "has vanished"
    except OSError as error:
        return b"", f"cannot be opened ({error.strerror})"


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def checked_image(
    data: NDArray[np.uint8], max_pixels: int = MAX_IMAGE_PIXELS
) -> tuple[NDArray[np.uint8], str]:
    """Return an image file's content and what is wrong with it, in words that follow its name.

    What MindSpore decodes otherwise than Pillow is converted to a PNG.

    Args:
        data: The file's bytes.
        max_pixels: Largest number of pixels; a larger image is not decoded.
    """
    content = data.tobytes()
    fault = fault_of(content, max_pixels)
    if fault:
        return data, fault
    if is_plain(content):
        return np.frombuffer(without_extras(content), np.uint8), ""
    converted, fault = as_png(content, max_pixels)
    return np.frombuffer(converted, np.uint8), fault


def _blank() -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "BMP")
    return np.frombuffer(file.getvalue(), np.uint8)


BLANK = _blank()
