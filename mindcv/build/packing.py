"""Build the packed form of an image folder, split by split."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mindcv.data.packing import PackedSplit, PackOptions, pack_split, verify_split

__all__ = ["build_packing"]


def build_packing(
    data_dir: Path,
    output: Path,
    splits: Sequence[str],
    *,
    shorter_side: int,
    quality: int,
    skip_bad: bool,
    max_image_pixels: int,
    shard_bytes: int,
    workers: int,
    verify: bool,
) -> Callable[[str, Callable[[int], object]], PackedSplit]:
    """Return a function that packs a split, or compares it with the folder.

    Its arguments are the split, and a function that it calls with the number of images of a finished shard.
    The arguments here are those of `PackOptions`, `pack_split` and `verify_split`.
    """
    common = {"splits": splits, "workers": workers}
    if verify:
        return lambda split, progress: verify_split(data_dir, split, output, progress=progress, **common)
    options = PackOptions(
        shorter_side=shorter_side, quality=quality, skip_bad=skip_bad, max_image_pixels=max_image_pixels
    )
    packing = partial(pack_split, options=options, shard_bytes=shard_bytes, **common)
    return lambda split, progress: packing(data_dir, split, output, progress=progress)
