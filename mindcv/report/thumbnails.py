"""Small pictures inside a page."""

import base64
import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["thumbnail"]

SIDE = 160  # pixels
SMALLEST = 96  # a smaller image is enlarged, so that the digits' 8 x 8 pixels can be seen


def thumbnail(image: NDArray[np.uint8]) -> str:
    """Return an image as the data URL of a small JPEG; empty if it cannot be decoded.

    Args:
        image: The bytes of a file, shape [N]; or pixels of shape [H, W] or [H, W, C].
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the same bytes have been trained on or scored
            picture = _opened(image)
            picture.thumbnail((SIDE, SIDE))
            if max(picture.size) < SMALLEST:
                factor = -(-SMALLEST // max(picture.size))
                size = picture.width * factor, picture.height * factor
                picture = picture.resize(size, Image.Resampling.NEAREST)
            content = io.BytesIO()
            picture.convert("RGB").save(content, "JPEG", quality=80)
    except Exception:  # Pillow raises many kinds; a page without one picture is better than none
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _opened(image: NDArray[np.uint8]) -> Image.Image:
    if image.ndim > 1:
        return Image.fromarray(image.squeeze(2) if image.ndim == 3 and image.shape[2] == 1 else image)
    picture = Image.open(io.BytesIO(image.tobytes()))
    picture.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG is decoded at a fraction of its size
    return picture
