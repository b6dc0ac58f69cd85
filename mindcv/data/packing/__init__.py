"""Packing of image folders into MindRecord files."""

from mindcv.data.packing.packed_folder import PackedSplit, pack_split, verify_split
from mindcv.data.packing.shards import PackOptions

__all__ = ["PackOptions", "PackedSplit", "pack_split", "verify_split"]
