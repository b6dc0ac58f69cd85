"""MindIR files: MindSpore's own graphs, for MindSpore itself and MindSpore Lite."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn

from mindcv.export.checked_output import finished_files
from mindcv.export.verify import Reference
from mindcv.runtime.quiet import quiet_logging

__all__ = ["export_mindir", "metadata_path"]


def metadata_path(path: Path) -> Path:
    """Return the path of a MindIR file's metadata, which the format itself cannot store."""
    return path.with_name(f"{path.name}.json")


def export_mindir(
    network: nn.Cell, path: str | Path, reference: Reference, *, metadata: Mapping[str, Any]
) -> float:
    """Write a network in evaluation as a MindIR file, if MindSpore computes the same from it.

    The file takes images [N, C, H, W] of any N, H and W; the metadata is in a file beside it.

    Args:
        network: The network to export: the unwrapped one or, for raw images, one that normalises first.
        path: File to write, ending in ``.mindir``.
        reference: Images, and the unwrapped network's logits of them.
        metadata: The images that the file takes, and other values to store; must be JSON-serializable.

    Returns:
        The largest difference between the file's logits and the network's, see `Reference.check`.

    Raises:
        UserError: If a file cannot be written.
        ExportError: If the file's logits differ from the network's.
    """
    path = Path(path)
    images = reference.images
    network.set_train(False)
    kind = ms.uint8 if images.uint8_input else ms.float32
    free = Tensor(shape=[None, images.channels, None, None], dtype=kind)
    with finished_files(metadata_path(path), path) as (described, temporary):
        with quiet_logging():
            ms.export(network, free, file_name=str(temporary), file_format="MINDIR")
            graph = nn.GraphCell(ms.load(str(temporary)))
        difference = reference.check(lambda batch: graph(Tensor(batch)).asnumpy(), path)
        described.write_text(json.dumps(dict(metadata), indent=2) + "\n", encoding="utf-8")
        return difference
