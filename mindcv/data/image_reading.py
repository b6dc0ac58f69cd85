"""Reading of image files: their content in a form that MindSpore decodes, or what is wrong with it."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindcv.data.image_integrity import fault_of, is_plain, without_extras
from mindcv.data.rare_images import as_png
from mindcv.ranges import MAX_IMAGE_PIXELS

__all__ = ["BLANK", "checked_image", "read_file"]


def read_file(path: str, max_pixels: int = MAX_IMAGE_PIXELS) -> tuple[NDArray[np.uint8], str]:
    """Return a file's content and what is wrong with it, in words that follow its name.

    Args:
        path: The file.
        max_pixels: Largest number of pixels, see `checked_image`.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        return BLANK, "has vanished"
    except OSError as error:
        return BLANK, f"cannot be opened ({error.strerror})"
    return checked_image(data, max_pixels)


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
