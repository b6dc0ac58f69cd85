"""Packing of one split of an image folder: shards, written by several processes, and their index."""

import ctypes
import itertools
import json
import math
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mindcv.data.packing.shards import PackOptions, Shard, ShardNote, pack_shard, read_note, verify_shard
from mindcv.data.sources.classes_file import CLASSES_FILE, classes_text, listed_classes
from mindcv.data.sources.image_folder import FolderSource, class_index
from mindcv.errors import UserError
from mindcv.files.atomic import write_atomically

__all__ = ["PackedSplit", "pack_split", "verify_split"]

INDEX = "index.json"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class PackedSplit:
    """The result of packing a split.

    Args:
        images: Images packed.
        classes: Number of classes.
        shards: Number of shards.
        kept: Shards that an earlier call had finished.
        skipped: Images left out, with the reason.
    """

    images: int
    classes: int
    shards: int
    kept: int
    skipped: dict[str, str]


def pack_split(
    root: Path,
    split: str,
    output: Path,
    options: PackOptions,
    *,
    splits: Sequence[str],
    shard_bytes: int,
    workers: int,
    progress: Callable[[int], object] = lambda images: None,
) -> PackedSplit:
    """Pack a split to ``output/{split}``, in the order of the folder, with its classes in ``classes.txt``.

    Shards that an earlier call has finished are kept if nothing in the folder has changed.

    Args:
        root: The image folder.
        split: Split to pack.
        output: Folder of the result.
        options: Form of the packed images.
        splits: All splits that are packed: they must agree in their classes.
        shard_bytes: Size of the files in a shard, about.
        workers: Processes; 1 packs in this one.
        progress: Called with the number of images of each shard that is done.

    Raises:
        UserError: If the folder, an image or the disk cannot be used.
    """
    source = _source(root, split, splits, options)
    shards = _shards(source, output / split, options, _count_shards(source, shard_bytes))
    _prepare(output, split, source, shards)
    notes: dict[str, ShardNote] = {}
    for shard in shards:
        note = read_note(shard.path)
        if note is not None and note.plan == shard.plan:
            notes[shard.path.name] = note
            progress(len(shard.files))
    kept = len(notes)
    missing = [shard for shard in shards if shard.path.name not in notes]
    for shard, note in _in_processes(pack_shard, missing, workers):
        notes[shard.path.name] = note
        progress(len(shard.files))
    with write_atomically(output / split / INDEX) as (file,):
        file.write_text(_index_text(source, options, notes), encoding="utf-8")
    return _result(source, notes, kept=kept)


def verify_split(
    root: Path,
    split: str,
    output: Path,
    *,
    splits: Sequence[str],
    workers: int,
    progress: Callable[[int], object] = lambda images: None,
) -> PackedSplit:
    """Compare a packed split with its folder: classes, count, and each record with its image.

    The arguments are those of `pack_split`.

    Raises:
        UserError: If anything differs.
    """
    path = output / split / INDEX
    try:
        text = path.read_text(encoding="utf-8")
        index = json.loads(text)
        options, count = PackOptions(**index["options"]), len(index["shards"])
    except (OSError, KeyError, TypeError, ValueError):
        raise UserError(f"{path} is missing or damaged: pack again") from None
    source = _source(root, split, splits, options)
    if listed_classes(output / CLASSES_FILE) != list(source.classes):
        raise UserError(f"{output / CLASSES_FILE} differs from the classes of {root}: pack again")
    shards = _shards(source, output / split, options, count)
    notes = {}
    for shard, note in _in_processes(verify_shard, shards, workers):
        notes[shard.path.name] = note
        progress(len(shard.files))
    if text != _index_text(source, options, notes):
        raise UserError(f"{path} differs from the shards: pack again")
    return _result(source, notes, kept=count)


def _result(source: FolderSource, notes: dict[str, ShardNote], *, kept: int) -> PackedSplit:
    return PackedSplit(
        images=sum(note.records for note in notes.values()),
        classes=len(source.classes),
        shards=len(notes),
        kept=kept,
        skipped={name: fault for note in notes.values() for name, fault in note.skipped.items()},
    )


def _source(root: Path, split: str, splits: Sequence[str], options: PackOptions) -> FolderSource:
    classes = class_index(root, *dict.fromkeys([*splits, split]))
    return FolderSource(root, split, classes, max_image_pixels=options.max_image_pixels)


def _count_shards(source: FolderSource, shard_bytes: int) -> int:
    try:
        total = sum(Path(source.path(index)).stat().st_size for index in range(len(source)))
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}): check the folder") from None
    return min(len(source), max(1, math.ceil(total / shard_bytes)))


def _shards(source: FolderSource, folder: Path, options: PackOptions, count: int) -> list[Shard]:
    """Divide the images into shards of equally many."""
    files = [source.path(index).removeprefix(f"{source.origin}/") for index in range(len(source))]
    bounds = np.linspace(0, len(files), count + 1).astype(int)
    return [
        Shard(
            path=folder / f"part-{number:05d}-of-{count:05d}.mindrecord",
            folder=Path(source.origin),
            files=tuple(files[begin:end]),
            labels=tuple(source.labels[begin:end].tolist()),
            options=options,
        )
        for number, (begin, end) in enumerate(itertools.pairwise(bounds))
    ]


def _prepare(output: Path, split: str, source: FolderSource, shards: Sequence[Shard]) -> None:
    """Make the folder and write the classes; other MindRecord files in it would be read as a part."""
    folder = output / split
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = {shard.path.name for shard in shards}
        others = sorted(path.name for path in folder.glob("*.mindrecord") if path.name not in ours)
        if others:
            raise UserError(
                f"{folder / others[0]} is of another packing: delete {folder}, or choose another folder"
            )
        known = listed_classes(output / CLASSES_FILE)
        if known and known != list(source.classes):
            raise UserError(
                f"{output / CLASSES_FILE} lists other classes than {source.origin}: choose another folder"
            )
        text = classes_text(source.classes)
        with write_atomically(output / CLASSES_FILE) as (file,):
            file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): choose another folder") from None


def _index_text(source: FolderSource, options: PackOptions, notes: dict[str, ShardNote]) -> str:
    """Return the index: classes, number of images, and the checksums of every shard."""
    index = {
        "options": asdict(options),
        "images": sum(note.records for note in notes.values()),
        "classes": list(source.classes),
        "shards": {name: asdict(note) for name, note in sorted(notes.items())},
    }
    return json.dumps(index, indent=1) + "\n"


def _in_processes(
    task: Callable[[Shard], ShardNote], shards: Sequence[Shard], workers: int
) -> Iterator[tuple[Shard, ShardNote]]:
    """Run a task on shards in processes of their own, and yield results as they are done."""
    if workers == 1 or len(shards) < 2:
        yield from ((shard, task(shard)) for shard in shards)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy MindSpore's locks in any state
    with ProcessPoolExecutor(min(workers, len(shards)), context, _start_process) as pool:
        tasks = {pool.submit(task, shard): shard for shard in shards}
        try:
            for done in as_completed(tasks):
                yield tasks[done], done.result()
        except BrokenProcessPool:
            raise UserError(
                "a process that packs was killed, perhaps for its memory: give fewer workers"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _start_process() -> None:
    """End with the parent, however it ends, and leave Ctrl-C to it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
