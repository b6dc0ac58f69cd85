"""Convert a weight file to another format, another library's names, or another epsilon."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from mindspore import nn

from mindcv.errors import UserError
from mindcv.models.factory import create_model
from mindcv.models.registry import find_model
from mindcv.models.weights.adaptation import fold_eps
from mindcv.models.weights.layouts import (
    Layout,
    WeightLayout,
    detect_layout,
    find_layout,
    in_layout,
    layouts_of,
)
from mindcv.models.weights.network_loading import evaluation_options, put_weights, selected, stated_options
from mindcv.models.weights.weight_files import WeightFile, file_kind, read_weights, write_weights

__all__ = ["Converted", "convert_weights"]

KEPT = ("config", "classes")


@dataclass(frozen=True, kw_only=True)
class Converted:
    """The file that `convert_weights` has written; its text is one line.

    Args:
        path: The file.
        model: Name of the model.
        layout: Whose names the tensors have.
        tensors: How many there are.
        options: Options that the network must be built with, ``bn_eps`` and ``padding``; empty where the
            model has no such options.
        usual: The usual values of these options in the library's networks.
        sha256: SHA-256 of the file, hexadecimal.
    """

    path: Path
    model: str
    layout: Layout
    tensors: int
    options: dict[str, Any]
    usual: dict[str, Any]
    sha256: str

    def __str__(self) -> str:
        facts = [f"{self.model} in {self.layout}'s names", f"{self.tensors} tensors"]
        for key, value in self.options.items():
            text = f"{value:g}" if isinstance(value, float) else value
            usual = self.usual.get(key, value)
            needed = "" if value == usual else f", which the network needs (usual is {usual})"
            facts.append(f"{key}={text}{needed}")
        return f"{self.path}: {', '.join(facts)}, SHA-256 {self.sha256[:8]}"


def convert_weights(
    source: str | Path,
    target: str | Path,
    *,
    model: str | None = None,
    layout: Layout | None = None,
    bn_eps: float | Literal["keep"] | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
    ema: bool = False,
) -> Converted:
    """Read a weight file and write it for another library, or for another network here.

    Args:
        source: The file to read, see `read_weights`.
        target: The file to write; its extension determines the format.
        model: Name of the model; by default the one that the file names.
        layout: Whose names the tensors get; by default MindCV's in a ``.ckpt``, and timm's in other files.
        bn_eps: Epsilon that the written weights are for; gamma is adjusted to it. ``"keep"`` is the file's
            own, with gamma unchanged. By default ``"keep"`` for MindCV's layout, and otherwise the library's.
        num_classes: Number of logits; by default the file's.
        in_channels: Channels of the images; by default the file's. With another number than its 3, the stem
            is converted.
        ema: Convert the weights of the EMA model.

    Raises:
        UserError: A file cannot be read or written, the weights are not the model's, or the library has no
            such network.
    """
    source, target = Path(source), Path(target)
    layout = layout or ("mindcv" if file_kind(target) == "ckpt" else "timm")
    _check_target(source, target, layout)
    file = read_weights(source)
    entry = find_model(model or _model_of(file))
    layouts = layouts_of(entry.family)
    origin = find_layout(layouts, detect_layout(selected(file, ema=ema), layouts))
    network = create_model(
        entry.name,
        num_classes or _length(file, origin and origin.classifier, 0, "num_classes", ema=ema),
        in_channels=in_channels or _length(file, origin and origin.stem[0], 1, "in_channels", ema=ema),
        **stated_options(file, layouts, entry.options or ()),
    )
    put_weights(network, file, ema=ema)
    tensors = {p.name: p.asnumpy() for p in network.get_parameters()}
    built, usual = evaluation_options(network), find_layout(layouts, layout)
    _check_expressible(source, network, built, layout, usual)
    if layout != "mindcv" and bn_eps is None and usual is not None:
        bn_eps = usual.bn_eps
    if bn_eps not in (None, "keep"):
        tensors, built = _for_eps(network, tensors, built, bn_eps)
    written = in_layout(tensors, network, layout)
    write_weights(target, written, _metadata(file, network, entry.name, built), layout=usual)
    return Converted(
        path=target,
        model=entry.name,
        layout=layout,
        tensors=len(written),
        options=built,
        usual={} if usual is None else usual.options(),
        sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
    )


def _check_expressible(
    source: Path, network: nn.Cell, built: Mapping[str, Any], layout: Layout, usual: WeightLayout | None
) -> None:
    padding = built.get("padding")
    if layout == "mindcv" or usual is None or padding is None or padding in usual.paddings:
        return
    raise UserError(
        f"{source}: made for padding={padding}, which {layout}'s {type(network).__name__} lacks: use another "
        f"layout, or train with padding={usual.paddings[0]}"
    )


def _check_target(source: Path, target: Path, layout: Layout) -> None:
    if target.resolve() == source.resolve() or (
        target.exists() and source.exists() and target.samefile(source)
    ):
        raise UserError(f"{target} is the file to convert: choose another name")
    if file_kind(target) == "ckpt" and layout != "mindcv":
        raise UserError(
            f"{target}: a MindSpore checkpoint has MindCV's names, not those of layout={layout}: "
            "write .safetensors or .pth"
        )
    if not target.parent.is_dir():
        raise UserError(f"{target}: the folder {target.parent} does not exist: create it first")


def _model_of(file: WeightFile) -> str:
    config = file.metadata.get("config")
    model = file.metadata.get("model") or (config.get("model") if isinstance(config, dict) else None)
    if not isinstance(model, str):
        raise UserError(f"{file.path}: does not name its model: give --model, for example mnasnet_100")
    return model


def _length(file: WeightFile, layer: str | None, axis: int, option: str, *, ema: bool) -> int:
    """Return the length of an axis of a layer's weight, which determines an option of the network."""
    tensor = selected(file, ema=ema).get(f"{layer}.weight")
    if tensor is None or tensor.ndim <= axis:
        named = "a tensor" if layer is None else f"'{layer}.weight'"
        raise UserError(
            f"{file.path}: lacks {named} that determines {option}: give another file, or --{option}"
        )
    return tensor.shape[axis]


def _for_eps(
    network: nn.Cell, tensors: Mapping[str, np.ndarray], built: Mapping[str, Any], eps: float
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if not built:
        raise UserError(
            f"bn_eps={eps}: {type(network).__name__} has no attribute bn_eps: leave bn_eps out, or give keep"
        )
    if built["bn_eps"] == eps:
        return dict(tensors), dict(built)
    return fold_eps(tensors, built["bn_eps"], eps), {**built, "bn_eps": eps}


def _metadata(file: WeightFile, network: nn.Cell, model: str, built: Mapping[str, Any]) -> dict[str, Any]:
    """Return the written file's metadata: how to build its network, and the source's on its training."""
    kept = {key: file.metadata[key] for key in KEPT if key in file.metadata}
    shape = {key: getattr(network, key) for key in ("num_classes", "in_channels") if hasattr(network, key)}
    if isinstance(kept.get("config"), dict):
        kept["config"] = {**kept["config"], **shape, **built, "ema": False}
    return {**kept, "model": model, **shape, **built}
