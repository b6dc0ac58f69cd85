"""Image files of all forms, damaged, crafted and huge; and a process that reads them as the project does."""

import io
import json
import os
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mindcv.data.image_integrity import PNG, without_extras
from tests.support.paths import ROOT

__all__ = ["MAX_SIDE", "examine", "huge_cases", "png", "resident", "run_length_bmp", "with_size"]

MAX_SIDE = 8192  # of an image that is just not too large
SIDES = (0, 1, 2, 255, 8192, 8193, 30000, 65500, 65535, 2**31 - 1, 2**32 - 1)
TIFF_COMPRESSIONS = ("raw", "packbits", "tiff_lzw", "tiff_deflate", "jpeg", "group4")


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def whole_files() -> dict[str, bytes]:
    """One picture in many forms, by name."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    smooth = Image.fromarray(noise).resize((61, 47))
    files = {}
    for options in ({}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 2}):
        for mode in ("RGB", "L", "CMYK"):
            files[f"{mode} {options} jpeg"] = encoded(smooth.convert(mode), "JPEG", **options)
    clear = smooth.convert("RGBA")
    clear.putalpha(smooth.convert("L"))
    for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        if mode != "PA":
            files[f"{mode} png"] = encoded(clear.convert(mode), "PNG")
        if mode in ("1", "L", "P", "RGB", "RGBA"):
            files[f"{mode} bmp"] = encoded(clear.convert(mode), "BMP")
        if mode in ("1", "L", "RGB"):
            files[f"{mode} pnm"] = encoded(clear.convert(mode), "PPM")
    files["frames png"] = encoded(smooth, "PNG", save_all=True, append_images=[smooth.rotate(90)])
    files["16 bits png"] = encoded(Image.fromarray(np.asarray(smooth.convert("L"), np.uint16) * 200), "PNG")
    files["16 bits tiff"] = encoded(Image.fromarray(np.asarray(smooth.convert("L"), np.uint16) * 200), "TIFF")
    for color, channels in ((2, 3), (4, 2), (6, 4)):
        deep = np.random.default_rng(color).integers(0, 256, (47, 1 + 61 * channels * 2), np.uint8)
        deep[:, 0] = 0
        files[f"16 bits {channels} channels png"] = png(61, 47, deep.tobytes(), depth=16, color=color)
    files["rle bmp"] = run_length_bmp(61, 47)
    for compression in TIFF_COMPRESSIONS:
        image = smooth.convert("1") if compression == "group4" else smooth
        files[f"{compression} tiff"] = encoded(image, "TIFF", compression=compression)
    for kind in ("GIF", "WEBP", "JPEG2000", "ICO", "TGA"):
        files[kind.lower()] = encoded(smooth, kind)
    return files


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    width: int, height: int, rows: bytes, *, depth: int = 8, color: int = 2, interlaced: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    data = chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data


def run_length_bmp(width: int, height: int) -> bytes:
    """Return a BMP of 8 bits per pixel, each row in runs and the end of the line."""
    runs = [255] * (width // 255) + [width % 255 or 1]
    lines = (b"".join(bytes((run, 3 * row % 256)) for run in runs) + b"\0\0" for row in range(height))
    rows = b"".join(lines) + b"\0\1"
    colors = bytes(value for level in range(256) for value in (level, 255 - level, level // 2, 0))
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    offset = 54 + len(colors)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + header + colors + rows


def resealed(data: bytes) -> bytes:
    """Return a PNG whose checksums are right again."""
    parts, position = [data[:8]], 8
    while position + 12 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        if position + 12 + size > len(data):
            break
        parts.append(chunk(data[position + 4 : position + 8], data[position + 8 : position + 8 + size]))
        position += 12 + size
    return b"".join(parts) + data[position:]


def with_size(data: bytes, width: int, height: int) -> bytes:
    """Return a file whose header states another size."""
    if data.startswith(b"\x89PNG"):
        return resealed(data[:16] + struct.pack(">II", width, height) + data[24:])
    if data.startswith(b"BM"):
        return data[:18] + struct.pack("<II", width, height) + data[26:]
    if data.startswith(b"\xff\xd8"):
        frame = next(data.index(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in data)
        return data[: frame + 5] + struct.pack(">HH", height % 65536, width % 65536) + data[frame + 9 :]
    return data.replace(struct.pack("<I", 61), struct.pack("<I", width), 1).replace(
        struct.pack("<I", 47), struct.pack("<I", height), 1
    )


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return a file with one kind of damage, drawn at random."""
    content, kind = bytearray(data), rng.randrange(7)
    end = len(data) if rng.random() < 0.5 else min(len(data), 200)  # half of them in the header
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        return with_size(data, rng.choice(SIDES), rng.choice(SIDES))
    if kind == 2:
        begin, other = rng.randrange(end), rng.randrange(len(data))
        content[begin : begin + rng.randrange(1, 64)] = data[other : other + rng.randrange(64)]
    elif kind == 3:
        begin = rng.randrange(end)
        content[begin : begin + 4] = rng.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
    elif kind == 4:
        content[rng.randrange(end)] ^= 1 << rng.randrange(8)
    else:
        for _ in range(rng.randrange(1, 6)):
            content[rng.randrange(end)] = rng.randrange(256)
    return resealed(bytes(content)) if rng.random() < 0.7 and data.startswith(b"\x89PNG") else bytes(content)


def cases(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield the whole files, then damaged ones, `count` in total."""
    files = whole_files()
    yield from list(files.items())[:count]
    rng, names = random.Random(seed), list(files)
    for number in range(len(files), count):
        name = names[number % len(names)]
        yield f"{number}: {name}, damaged", mutated(files[name], rng)


def flipped_cases() -> Iterator[tuple[str, bytes]]:
    """Yield BMP files with one bit of the header flipped."""
    for name in ("RGB bmp", "rle bmp"):
        data = whole_files()[name]
        for bit in range(54 * 8):
            content = bytearray(data)
            content[bit // 8] ^= 1 << bit % 8
            yield f"{name}, bit {bit} flipped", bytes(content)


def huge_cases() -> Iterator[tuple[str, bytes]]:
    """Yield files of a few kB that are as large as possible, and some that are larger."""
    files = whole_files()
    for side in (MAX_SIDE, 65500):
        for name in ("RGB {} jpeg", "RGB {'progressive': True} jpeg", "CMYK {'progressive': True} jpeg"):
            yield f"{side}: {name}", with_size(files[name], side, side)
        yield f"{side}: rle bmp", run_length_bmp(side, side)
        yield f"{side}: bmp", with_size(files["RGB bmp"], side, side)
        yield f"{side}: packbits tiff", with_size(files["packbits tiff"], side, side)
    for color, channels, interlaced in ((2, 3, 0), (6, 4, 0), (6, 4, 1)):
        rows = bytes((1 + interlaced) * MAX_SIDE * (1 + MAX_SIDE * channels * 2))
        data = png(MAX_SIDE, MAX_SIDE, rows, depth=16, color=color, interlaced=interlaced)
        yield f"16 bits png {color} {interlaced}", data
    data = files["RGB {'progressive': True} jpeg"]
    scan = data.rindex(b"\xff\xda")
    yield "many scans", with_size(data[:-2] + data[scan:-2] * 2000 + data[-2:], MAX_SIDE, MAX_SIDE)
    yield "90 scans", with_size(data[:-2] + data[scan:-2] * 80 + data[-2:], MAX_SIDE, MAX_SIDE)
    yield "a line", with_size(files["L {} jpeg"], 60000, 1)


def read(data: bytes) -> tuple[str, np.ndarray]:
    """Read an image as the project does; return what is wrong with it, and its pixels or its content."""
    from mindspore.dataset import vision

    from mindcv.data.image_reading import checked_image

    content, fault = checked_image(np.frombuffer(data, np.uint8))
    if fault:
        return fault, content
    try:
        pixels = vision.Decode()(content)
    except RuntimeError:
        return "cannot be decoded", content
    vision.RandomCropDecodeResize((32, 32))(content)
    return "", pixels


def compared(data: bytes, pixels: np.ndarray) -> str:
    """Compare the pixels of a file with those that Pillow decodes."""
    expected = opened(data)
    if expected is None and data.startswith(PNG):
        expected = opened(without_extras(data))  # Pillow reads them, and the project does not
    if expected is None:
        return "invented: Pillow decodes no image"
    if pixels.shape != expected.shape:
        return f"other: {pixels.shape} instead of {expected.shape}"
    # Pillow's libjpeg may be of another version than MindSpore's.
    difference = int((np.maximum(pixels, expected) - np.minimum(pixels, expected)).max())
    return "equal" if difference <= (2 if data[:2] == b"\xff\xd8" else 0) else f"other: by {difference}"


def opened(data: bytes) -> np.ndarray | None:
    """Return the pixels that Pillow decodes; None if it refuses."""
    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except Exception:
        return None


def resident(field: str) -> int:
    """Return a field of the memory that this process occupies, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0]) // 1024


def examine(
    folder: Path, *arguments: object, timeout: float = 150, module: str = __name__
) -> dict[str, dict[str, Any]]:
    """Read files in a process of its own, see `main`, and return what came of each by its name.

    Raises:
        AssertionError: If the process ends or hangs; the message names the file.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "reports").open("w+") as reports, (folder / "errors").open("w") as errors:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=reports, stderr=errors)
        try:
            status: object = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            status = f"none after {timeout} s"
        reports.seek(0)
        lines = [json.loads(line) for line in reports if line.endswith("}\n")]
    assert (status, len(lines) % 2) == (0, 0), f"{command}: status {status} at {lines[-1:]}"
    return {case["name"]: outcome for case, outcome in zip(lines[::2], lines[1::2], strict=True)}


def main(which: str, count: str = "0", seed: str = "0") -> None:
    """Print two lines of JSON for each file: its name; and its outcome, time (s) and memory (MB).

    Args:
        which: huge or flipped, or random for `count` files drawn by `seed`.
        count: Number of files.
        seed: Seed of their damage.
    """
    warnings.simplefilter("ignore")
    read(next(iter(whole_files().values())))
    drawn = {"huge": huge_cases, "flipped": flipped_cases, "random": lambda: cases(int(count), int(seed))}
    for name, data in drawn[which]():
        print(json.dumps({"name": name, "bytes": len(data)}), flush=True)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before, began = resident("VmRSS"), time.process_time()
        fault, pixels = read(data)
        seconds, peak = time.process_time() - began, resident("VmHWM") - before
        outcome = f"refused: {fault}" if fault else compared(data, pixels)
        print(json.dumps({"outcome": outcome, "seconds": seconds, "megabytes": peak}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
