"""Damaged image files are detected before MindSpore decodes them."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from mindspore.dataset import vision
from PIL import Image

from mindcv.data.image_integrity import fault_of

SIZE = (60, 40)
NO_IMAGE = "is not in an image format that MindSpore decodes"


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray | None:
    """Return the image that MindSpore decodes from a file; None if it refuses."""
    try:
        return vision.Decode()(np.frombuffer(data, np.uint8))
    except RuntimeError:
        return None


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MindSpore writes a copy of a damaged image there


COLOUR = Image.fromarray(noise(SIZE[1], SIZE[0], 3))
SMOOTH = COLOUR.resize((8, 8)).resize((160, 120))
TURNED = Image.Exif()
TURNED[0x0112] = 6
CLEAR = COLOUR.convert("RGBA")
CLEAR.putalpha(Image.fromarray(noise(SIZE[1], SIZE[0])))

WHOLE = {
    "jpeg": encoded(COLOUR, "JPEG"),
    "smooth jpeg": encoded(SMOOTH, "JPEG"),
    "optimised jpeg": encoded(SMOOTH, "JPEG", optimize=True, quality=30),
    "progressive jpeg": encoded(SMOOTH, "JPEG", progressive=True),
    "jpeg with restarts": encoded(SMOOTH, "JPEG", restart_marker_blocks=3),
    "jpeg without subsampling": encoded(COLOUR, "JPEG", subsampling=0),
    "cmyk jpeg": encoded(COLOUR.convert("CMYK"), "JPEG"),
    "grey jpeg": encoded(COLOUR.convert("L"), "JPEG"),
    "rotated jpeg": encoded(SMOOTH, "JPEG", exif=TURNED),
    "jpeg with trailing bytes": encoded(COLOUR, "JPEG") + b"trailing" * 999,
    "png": encoded(COLOUR, "PNG"),
    "grey png": encoded(COLOUR.convert("L"), "PNG"),
    "palette png": encoded(COLOUR.convert("P"), "PNG"),
    "rgba png": encoded(CLEAR, "PNG"),
    "grey png with alpha": encoded(CLEAR.convert("LA"), "PNG"),
    "bilevel png": encoded(COLOUR.convert("1"), "PNG"),
    "animated png": encoded(COLOUR, "PNG", save_all=True, append_images=[COLOUR.rotate(180)]),
    "png with trailing bytes": encoded(COLOUR, "PNG") + b"trailing" * 999,
    "bmp": encoded(COLOUR, "BMP"),
    "grey bmp": encoded(COLOUR.convert("L"), "BMP"),
    "tiff": encoded(COLOUR, "TIFF"),
    "pnm": encoded(COLOUR, "PPM"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_image_becomes_the_pixels_that_pillow_gives(name):
    data = WHOLE[name]
    assert fault_of(data) is None
    pixels = decoded(data)
    assert pixels is not None
    assert pixels.dtype == np.uint8
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    # The two may be built with different versions of libjpeg.
    assert np.abs(pixels - expected).max() <= (2 if "jpeg" in name else 0)


def test_a_rotated_jpeg_keeps_the_rotation_of_its_pixels():
    assert decoded(WHOLE["rotated jpeg"]).shape == (120, 160, 3)


def test_sixteen_bits_of_grey_are_refused_because_every_decoder_makes_another_image_of_them():
    deep = np.random.default_rng(0).integers(0, 65536, (40, 60), np.uint16)
    data = encoded(Image.fromarray(deep), "PNG")
    fault = "is a 16-bit grayscale PNG, of which MindSpore would use 8 bits: convert it to 8 bits"
    assert fault_of(data) == fault
    pixels = decoded(data)
    assert np.abs(pixels - deep[..., None] / 257).max() <= 1
    assert (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) == 255).mean() > 0.9


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "is empty"),
        (b"this is text, whatever its name says", NO_IMAGE),
        (encoded(COLOUR, "GIF", save_all=True, append_images=[COLOUR.rotate(90)]), NO_IMAGE),
        (encoded(COLOUR, "WEBP"), NO_IMAGE),
        (bytes(5000), NO_IMAGE),
    ],
    ids=["empty", "text", "gif", "webp", "zeros"],
)
def test_files_that_mindspore_does_not_decode_are_reported(data, fault):
    assert fault_of(data) == fault
    assert decoded(data) is None


@pytest.mark.parametrize("name", ["png", "bmp", "grey bmp"])
def test_a_png_or_bmp_that_is_cut_is_refused_as_mindspore_does(name):
    data = WHOLE[name]
    lengths = [len(data) * percent // 100 for percent in range(7, 100, 7)]
    for length in (*lengths, len(data) - 12, len(data) - 1):
        assert fault_of(data[:length]) == "is cut short"
        assert decoded(data[:length]) is None


@pytest.mark.parametrize("name", [name for name in WHOLE if name.endswith("jpeg")])
def test_a_jpeg_that_is_cut_is_refused_wherever_it_is(name):
    data = WHOLE[name]  # MindSpore raises, guesses the rest or crashes, depending on where: it is not asked
    assert {fault_of(data[:length]) for length in range(3, len(data) - 1)} == {"is cut short"}


def test_a_flipped_bit_is_refused_in_a_png_as_mindspore_does():
    data = bytearray(WHOLE["png"])
    data[len(data) // 2] ^= 1
    assert fault_of(bytes(data)) == "is a damaged PNG"
    assert decoded(bytes(data)) is None


def test_a_wrong_checksum_of_a_comment_harms_no_png():
    comment = struct.pack(">I", 5) + b"tEXtHello" + struct.pack(">I", zlib.crc32(b"tEXtHello") ^ 1)
    data = WHOLE["png"][:33] + comment + WHOLE["png"][33:]
    assert fault_of(data) is None
    assert np.array_equal(decoded(data), np.asarray(COLOUR))


TABLE, CODES, FRAME, SCAN = (WHOLE["jpeg"].index(bytes([0xFF, code])) for code in (0xDB, 0xC4, 0xC0, 0xDA))


@pytest.mark.parametrize(
    ("begin", "content"),
    [
        (TABLE, b"\xff\xfe"),  # no quantization table
        (CODES, b"\xff\xfe"),  # no Huffman table
        (CODES + 4, b"\x09"),  # a table of that number does not exist
        (CODES + 5, b"\x05"),  # more codes of one bit than there are
        (CODES + 2, b"\x00\x01"),  # a length shorter than itself
        (FRAME + 4, b"\x07"),  # seven bits a sample
        (FRAME + 5, b"\0\0"),  # no height
        (SCAN + 5, b"\x77"),  # a component that the frame lacks
    ],
)
def test_a_jpeg_header_that_may_crash_mindspore_is_refused(begin, content):
    data = WHOLE["jpeg"][:begin] + content + WHOLE["jpeg"][begin + len(content) :]
    assert fault_of(data) == "is a damaged JPEG"


DECODE_ALL = """
import contextlib, pathlib
import numpy as np
from mindspore.dataset import vision

operators = [vision.Decode(), vision.RandomCropDecodeResize((16, 16))]
for path in pathlib.Path().glob("*.jpg"):
    for operator in operators:
        with contextlib.suppress(RuntimeError):
            operator(np.fromfile(path, np.uint8))
print("survived")
"""


def test_no_jpeg_that_passes_crashes_mindspore(tmp_path):
    rng = np.random.default_rng(0)
    passed = 0
    for i in range(300):
        data = bytearray(WHOLE[("smooth jpeg", "progressive jpeg")[i % 2]])
        place = rng.integers(2, 700)  # the header, most of it
        data[place] = rng.integers(256)
        if fault_of(bytes(data)) is None:
            (tmp_path / f"{i}.jpg").write_bytes(data)
            passed += 1
    child = subprocess.run([sys.executable, "-c", DECODE_ALL], capture_output=True, text=True, timeout=120)
    assert (child.returncode, child.stdout) == (0, "survived\n")
    assert 100 < passed < 290
