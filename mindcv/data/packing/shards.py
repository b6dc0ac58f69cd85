"""One shard of a packed image folder: a MindRecord file, its index, and a note of what is in it.

The note is written last. A shard with a note that fits is complete, so that an interrupted packing continues
with the next one.
"""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import mindspore.dataset as ds
import numpy as np
from mindspore.mindrecord import FileWriter
from PIL import Image

from mindcv.data.image_reading import checked_image, file_content
from mindcv.data.jpeg_markers import JPEG
from mindcv.data.sources.mindrecord_check import check_records
from mindcv.errors import UserError
from mindcv.files.atomic import write_atomically

__all__ = ["PackOptions", "Shard", "ShardNote", "pack_shard", "read_note", "verify_shard"]

FORMAT = 1
IMAGES_A_WRITE = 64
HEADER_BYTES = 2**20
SMALLEST_PAGE, LARGEST_PAGE = 2**22, 2**28  # of MindRecord, which puts no image on two pages
SCHEMA = {
    "image": {"type": "bytes"},
    "label": {"type": "int32"},
    "file": {"type": "string"},
    "sha256": {"type": "string"},
}


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """The form of the packed images.

    Args:
        shorter_side: Shrink images whose shorter side is longer than this, in pixels; 0 keeps every file's
            bytes. Shrinking is bicubic with antialiasing.
        quality: JPEG quality of shrunk JPEG images; shrunk images of other formats become PNG.
        skip_bad: Leave out images that cannot be read, instead of raising an error.
        max_image_pixels: An image of more pixels cannot be read.
    """

    shorter_side: int = 0
    quality: int = 95
    skip_bad: bool = False
    max_image_pixels: int


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The images of one shard, before it is written.

    Args:
        path: The MindRecord file.
        folder: Folder of the split, with one folder per class.
        files: Images as ``CLASS/NAME``.
        labels: Their labels.
        options: Form of the packed images.
    """

    path: Path
    folder: Path
    files: tuple[str, ...]
    labels: tuple[int, ...]
    options: PackOptions

    @property
    def plan(self) -> str:
        """SHA-256 of what the shard is made from: names, sizes and times of the files, labels and options."""
        digest = hashlib.sha256(json.dumps([FORMAT, asdict(self.options)]).encode())
        for name, label in zip(self.files, self.labels, strict=True):
            state = (self.folder / name).stat()
            digest.update(
                f"{name}\0{label}\0{state.st_size}\0{state.st_mtime_ns}\n".encode("utf-8", "replace")
            )
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class ShardNote:
    """Contents of a finished shard; stored as ``NAME.mindrecord.json``.

    Args:
        plan: See `Shard.plan`.
        records: Number of images.
        sha256: SHA-256 of the MindRecord file.
        index_sha256: SHA-256 of its index, the file that ends in .db.
        contents: SHA-256 of the records' own checksums, one after another.
        skipped: Images left out, with the reason.
        format: Version of this note.
    """

    plan: str
    records: int
    sha256: str
    index_sha256: str
    contents: str
    skipped: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


def note_path(path: Path) -> Path:
    """Return the note of a shard's MindRecord file."""
    return path.with_name(path.name + ".json")


def read_note(path: Path) -> ShardNote | None:
    """Return the note of a shard; None if it is damaged or missing, or one of the shard's files is."""
    if not (path.is_file() and path.with_name(path.name + ".db").is_file()):
        return None
    try:
        return ShardNote(**json.loads(note_path(path).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):
        return None


def pack_shard(shard: Shard) -> ShardNote:
    """Write a shard, read it back and compare it, and write its note.

    Raises:
        UserError: If an image or the disk cannot be used, or the records read differ from those written.
    """
    plan = shard.plan
    rows, skipped = _rows(shard)
    if not rows:
        raise UserError(f"{shard.folder}: no image of {shard.path.name} can be read: give fewer shards")
    note_path(shard.path).unlink(missing_ok=True)
    index = shard.path.with_name(shard.path.name + ".db")
    try:
        with write_atomically(index, shard.path) as (_, data):
            _write(data, rows)
        checksums = [row["sha256"] for row in rows]
        note = ShardNote(
            plan=plan,
            records=len(rows),
            sha256=_file_sha256(shard.path),
            index_sha256=_file_sha256(index),
            contents=_joined(checksums),
            skipped=skipped,
        )
        _compare(shard.path, note, rows)
        with write_atomically(note_path(shard.path)) as (written,):
            written.write_text(json.dumps(asdict(note), indent=1) + "\n", encoding="utf-8")
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or _first_error(str(error))
        raise UserError(
            f"{shard.path} cannot be written ({reason}): check the disk and start again"
        ) from None
    return note


def verify_shard(shard: Shard) -> ShardNote:
    """Compare a finished shard with its note and with the folder: every record, its label and its checksum.

    Raises:
        UserError: If something differs.
    """
    note = read_note(shard.path)
    if note is None:
        raise UserError(f"{shard.path} is missing or not finished: pack again, which writes only such shards")
    _compare(shard.path, note, _rows(shard)[0])
    return note


def _compare(path: Path, note: ShardNote, rows: Sequence[dict[str, Any]]) -> None:
    check_records(path)
    index = path.with_name(path.name + ".db")
    for file, expected in ((path, note.sha256), (index, note.index_sha256)):
        if _file_sha256(file) != expected:
            raise UserError(f"{file} differs from its checksum: delete it and pack again")
    if note.records != len(rows):
        raise UserError(f"{path} holds {note.records} of the folder's {len(rows)} images: pack again")
    records = ds.MindDataset(str(path), list(SCHEMA), shuffle=False)
    found = list[str]()
    rows_read: Any = records.create_dict_iterator(num_epochs=1, output_numpy=True)
    for place, record in enumerate(rows_read):
        row = rows[min(place, len(rows) - 1)]
        found.append(hashlib.sha256(record["image"].tobytes()).hexdigest())
        stored = (str(record["file"]), int(record["label"]), str(record["sha256"]))
        if stored != (row["file"], row["label"], row["sha256"]) or found[-1] != row["sha256"]:
            raise UserError(f"{path}: record {place}, {stored[0]}, differs from {row['file']}: pack again")
    if len(found) != len(rows) or _joined(found) != note.contents:
        raise UserError(f"{path} holds {len(found)} images instead of {len(rows)}: pack again")


def _rows(shard: Shard) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the records of a shard, and the images that cannot be read with their faults."""
    rows, skipped = [], {}
    for name, label in zip(shard.files, shard.labels, strict=True):
        content, fault = _packed(shard.folder / name, shard.options)
        if fault:
            skipped[name] = fault
            continue
        checksum = hashlib.sha256(content).hexdigest()
        shown = os.fsencode(name).decode("utf-8", "replace")
        rows.append({"image": content, "label": label, "file": shown, "sha256": checksum})
    if skipped and not shard.options.skip_bad:
        (name, fault), *more = skipped.items()
        others = f", and {len(more)} more of {shard.path.name} cannot be read" if more else ""
        raise UserError(
            f"{shard.folder / name} {fault}{others}: remove or replace it, or leave such images out with "
            "--on_bad_image skip"
        )
    return rows, skipped


def _packed(path: Path, options: PackOptions) -> tuple[bytes, str]:
    """Return the bytes to store for an image file, and what is wrong with it."""
    content, fault = file_content(path)
    if fault:
        return b"", fault
    plain, fault = checked_image(np.frombuffer(content, np.uint8), options.max_image_pixels)
    if fault or not options.shorter_side:
        return content, fault
    try:
        with Image.open(io.BytesIO(plain.tobytes())) as image:
            side = min(image.size)
            if side <= options.shorter_side:
                return content, ""
            width, height = (max(1, round(pixels * options.shorter_side / side)) for pixels in image.size)
            small = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    except (OSError, SyntaxError, ValueError):
        return b"", "cannot be decoded"
    file = io.BytesIO()
    if content.startswith(JPEG):
        small.save(file, "JPEG", quality=options.quality, subsampling=0)
    else:
        small.save(file, "PNG")
    return file.getvalue(), ""


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    largest = max(len(row["image"]) for row in rows)
    page = max(SMALLEST_PAGE, 1 << (largest + 4096).bit_length())
    if page > LARGEST_PAGE:
        raise UserError(f"an image of {largest} bytes does not fit in a MindRecord: give --shorter_side")
    writer = FileWriter(str(path), shard_num=1)
    writer.set_header_size(HEADER_BYTES)
    writer.set_page_size(page)
    writer.add_schema(SCHEMA)
    writer.add_index(["label"])
    for begin in range(0, len(rows), IMAGES_A_WRITE):
        writer.write_raw_data(list(rows[begin : begin + IMAGES_A_WRITE]))
    writer.commit()
    mask = os.umask(0)
    os.umask(mask)
    for file in (path, path.with_name(path.name + ".db")):  # MindSpore lets only the owner read them
        file.chmod(0o666 & ~mask)


def _first_error(text: str) -> str:
    """Return what MindSpore's message says has failed, from among its headings."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.rpartition("]")[2].strip() for line in lines if line.startswith("[ERROR]")]
    return (errors or lines)[0].rstrip(".")


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _joined(checksums: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(checksums).encode()).hexdigest()
