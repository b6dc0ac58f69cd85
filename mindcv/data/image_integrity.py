"""Integrity and size of image files, checked from their headers before anything decodes them."""

import zlib

from mindcv.data.jpeg_markers import JPEG, count_components, read_jpeg
from mindcv.ranges import MAX_IMAGE_PIXELS

__all__ = ["fault_of", "is_plain", "size_fault", "without_extras"]

PNG = b"\x89PNG\r\n\x1a\n"
BMP = b"BM"
TIFF = (b"II*\0", b"MM\0*")
PNM = tuple(b"P%d" % kind for kind in range(1, 7))

PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # by color type
PNG_NEEDED = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
PLAIN_BMP = (54).to_bytes(4, "little") + (40).to_bytes(4, "little")  # offset of the pixels, header size

CUT, DAMAGED_PNG = "is cut short", "is a damaged PNG"

# An evaluation enlarges the shorter side to the network's size: a line of 1 x 60,000 pixels at 256 would take
# 12 GB. A photograph of 500 pixels may be 5 pixels wide.
MAX_ASPECT = 100


def fault_of(data: bytes, max_pixels: int = MAX_IMAGE_PIXELS) -> str | None:
    """Return why a file cannot be decoded, in words that follow its name; None if no fault is found.

    MindSpore goes by the content, not by the name's extension. It takes a tenth of a millisecond for 100 kB,
    where decoding takes two.

    Args:
        data: Content of the file.
        max_pixels: Largest number of pixels, as the header states it.
    """
    if not data:
        return "is empty"
    if data.startswith(JPEG):
        size, fault = read_jpeg(data)
        return fault or size_fault(*size, max_pixels)
    if data.startswith(PNG):
        return _png_fault(data, max_pixels)
    if data.startswith(BMP):
        return _bmp_fault(data, max_pixels)
    return None if data.startswith(TIFF + PNM) else "is not in an image format that MindSpore decodes"


def is_plain(data: bytes) -> bool:
    """Return whether MindSpore decodes a file to Pillow's pixels: JPEG but CMYK, PNG, ordinary BMP.

    It does not decode all others, or differently, or takes a minute for a damaged one.

    Args:
        data: Content of a file in which `fault_of` finds no fault.
    """
    if data.startswith(JPEG):
        return count_components(data) < 4
    if not data.startswith(BMP):
        return data.startswith(PNG)
    # Four bytes each: width, height, planes and bits (1 and 24), compression (none).
    return data[10:18] == PLAIN_BMP and data[26:34] == b"\1\0\x18\0\0\0\0\0"


def without_extras(data: bytes) -> bytes:
    """Return a file as MindSpore should read it: a PNG without its frames, texts, profiles and transparency.

    None of them changes the pixels, and MindSpore's reader of animated PNGs does not survive a damaged one.

    Args:
        data: Content of a file in which `fault_of` finds no fault.
    """
    if not data.startswith(PNG):
        return data
    parts, position, kind = [PNG], len(PNG), b""
    while kind != b"IEND":
        kind, begin = data[position + 4 : position + 8], position
        position += 12 + int.from_bytes(data[begin : begin + 4], "big")
        if kind in PNG_NEEDED:
            parts.append(data[begin:position])
    return b"".join(parts)


def size_fault(width: int, height: int, max_pixels: int) -> str | None:
    """Return what is wrong with the size of an image, in pixels; None if nothing is."""
    if width * height > max_pixels:
        return f"has {width} x {height} pixels, more than max_image_pixels={max_pixels}"
    if max(width, height) > MAX_ASPECT * min(width, height):
        return f"has {width} x {height} pixels: one side is more than {MAX_ASPECT} times the other"
    return None


def _png_fault(data: bytes, max_pixels: int) -> str | None:
    """Check the chunks of a PNG: each has a length and a checksum, and libpng checks the critical ones."""
    view, position, pixels = memoryview(data), len(PNG), False
    while position + 12 <= len(data):
        size = int.from_bytes(view[position : position + 4], "big")
        kind, end = bytes(view[position + 4 : position + 8]), position + 8 + size
        if end + 4 > len(data):
            break
        needed = not kind[0] & 0x20
        checksum = int.from_bytes(view[end : end + 4], "big")
        first = position == len(PNG)
        if first is not (kind == b"IHDR") or (needed and kind not in PNG_NEEDED):
            return DAMAGED_PNG
        if needed and zlib.crc32(view[position + 4 : end]) != checksum:
            return DAMAGED_PNG
        if first and (fault := _png_header_fault(data[position + 8 : end], max_pixels)):
            return fault
        pixels |= kind == b"IDAT"
        if kind == b"IEND":
            return None if pixels else DAMAGED_PNG
        position = end + 4
    return CUT


def _png_header_fault(header: bytes, max_pixels: int) -> str | None:
    if len(header) != 13:
        return DAMAGED_PNG
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    depth, color, compression, filtering, interlacing = header[8:]
    if not (width and height) or depth not in PNG_DEPTHS.get(color, ()):
        return DAMAGED_PNG
    if compression or filtering or interlacing > 1:
        return DAMAGED_PNG
    if (color, depth) == (0, 16):
        return "is a 16-bit grayscale PNG, of which MindSpore would use 8 bits: convert it to 8 bits"
    return size_fault(width, height, max_pixels)


def _bmp_fault(data: bytes, max_pixels: int) -> str | None:
    """Check a BMP's header, which gives the offset of the pixels and, unless compressed, their size."""
    if len(data) < 34:
        return CUT
    offset, header, width, height = (
        int.from_bytes(data[begin : begin + 4], "little", signed=True) for begin in (10, 14, 18, 22)
    )
    bits, compression = (int.from_bytes(data[begin : begin + 2], "little") for begin in (28, 30))
    if header < 40:  # OS/2
        return None
    if width <= 0 or height == 0:
        return "is a damaged BMP"
    row = (width * bits + 31) // 32 * 4
    cut = compression in (0, 3) and offset + row * abs(height) > len(data)
    return size_fault(width, abs(height), max_pixels) or (CUT if cut else None)
