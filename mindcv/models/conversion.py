"""Convert a weight file to another format, another library's names, or another epsilon."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from mindspore import nn

from mindcv.errors import UserError
from mindcv.models.model_factory import create_model
from mindcv.models.registry import ModelEntry, find_model
from mindcv.models.weights.adaptation import fold_eps
from mindcv.models.weights.layouts import (
    Layout,
    WeightLayout,
    detect_layout,
    find_layout,
    in_layout,
    layouts_of,
)
from mindcv.models.weights.network_loading import evaluation_options, put_weights, selected
from mindcv.models.weights.stated_options import leaves_padding_open, padding_of, stated_options
from mindcv.models.weights.weight_files import WeightFile, file_kind, read_weights, write_weights
from mindcv.structure import classifier_parameters

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
    padding: str | None = None,
    ema: bool = False,
) -> Converted:
    """Read a weight file and write it for another library, or for another network here.

    Args:
        source: The file to read, see `read_weights`.
        target: The file to write; its extension determines the format.
        model: Name of the model; by default the one that the file names.
        layout: Whose names the tensors get; by default MindCV's in a ``.ckpt``, and timm's in other files, if
            the model's family lists them.
        bn_eps: Epsilon that the written weights are for; gamma is adjusted to it. ``"keep"`` is the file's
            own, with gamma unchanged. By default ``"keep"`` for MindCV's layout, and otherwise the library's.
        num_classes: Number of logits; by default the file's.
        in_channels: Channels of the images; by default the file's. With another number than its 3, the stem
            is converted.
        padding: Padding that the weights were trained with, where the file leaves it open, see `padding_of`.
        ema: Convert the weights of the EMA model.

    Raises:
        UserError: A file cannot be read or written, the weights are not the model's, or the library has no
            such network.
    """
    source, target = Path(source), Path(target)
    _check_target(source, target, layout)
    file = read_weights(source)
    entry = find_model(model or _model_of(file))
    layouts = layouts_of(entry.family)
    if layout is None:
        layout = "mindcv" if file_kind(target) == "ckpt" or not layouts else "timm"
    usual = find_layout(layouts, layout)
    if layout != "mindcv" and usual is None:
        raise UserError(
            f"{source}: the family {entry.family.__name__} lists no names for {layout}: use --layout mindcv, "
            "or list them in its class as weight_layouts"
        )
    network = _network(file, entry, num_classes, in_channels, padding, ema=ema)
    tensors = {p.name: p.asnumpy() for p in network.get_parameters()}
    built = evaluation_options(network)
    is_assumed = padding is None and leaves_padding_open(file, layouts)
    _check_expressible(source, network, built, layout, usual, is_assumed=is_assumed)
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


def _network(
    file: WeightFile,
    entry: ModelEntry,
    num_classes: int | None,
    in_channels: int | None,
    padding: str | None,
    *,
    ema: bool,
) -> nn.Cell:
    """Return the network that a file's weights belong to, with these weights."""
    layouts = layouts_of(entry.family)
    open_padding = padding_of(file, layouts, padding)
    options = {**stated_options(file, layouts, entry.options or ()), **open_padding}
    if padding is not None and options.get("padding") != padding:
        made = (
            f"made for padding={options['padding']}" if "padding" in options else "has no padding to choose"
        )
        raise UserError(f"{file.path}: {made}, and padding={padding} is given: leave padding out")
    tensors, told = selected(file, ema=ema), {"num_classes": num_classes, "in_channels": in_channels}
    layout = find_layout(layouts, detect_layout(tensors, layouts))
    if layout is not None:
        ends = (f"{layout.classifier}.weight", f"{layout.stem[0]}.weight")
    else:
        told = {**_told_shape(file), **{key: value for key, value in told.items() if value}}
        ends = _ends(create_model(entry.name))
    for axis, (option, name) in enumerate(zip(("num_classes", "in_channels"), ends, strict=True)):
        if told.get(option) is None:
            told[option] = _length(file.path, tensors, name, axis, option)
    network = create_model(entry.name, **told, **options)
    put_weights(network, file, ema=ema, padding=open_padding.get("padding"))
    return network


def _told_shape(file: WeightFile) -> dict[str, Any]:
    """Return ``num_classes`` and ``in_channels`` as far as a file's metadata tells them."""
    config, classes = file.metadata.get("config"), file.metadata.get("classes")
    told: dict[str, Any] = {"num_classes": len(classes)} if isinstance(classes, list) and classes else {}
    for source in (config if isinstance(config, dict) else {}, file.metadata):
        found = {key: source.get(key) for key in ("num_classes", "in_channels")}
        told |= {key: value for key, value in found.items() if type(value) is int and value > 0}
    return told


def _ends(network: nn.Cell) -> tuple[str | None, str | None]:
    """Return the names of the last layer's weight and of the first convolution's, where they are known."""
    classifier = [p.name for p in classifier_parameters(network) if p.ndim == 2]
    stem = [p.name for p in network.get_parameters() if p.ndim == 4]
    return classifier[-1] if classifier else None, stem[0] if stem else None


def _check_expressible(
    source: Path,
    network: nn.Cell,
    built: Mapping[str, Any],
    layout: Layout,
    usual: WeightLayout | None,
    *,
    is_assumed: bool,
) -> None:
    padding = built.get("padding")
    if layout == "mindcv" or usual is None or padding is None or padding in usual.paddings:
        return
    lacking, possible = f"which {layout}'s {type(network).__name__} lacks", usual.paddings[0]
    if is_assumed:
        raise UserError(
            f"{source}: does not state its padding, and MindCV's is {padding}, {lacking}: "
            f"give --padding {possible} if it was trained so, or use --layout mindcv"
        )
    raise UserError(
        f"{source}: made for padding={padding}, {lacking}: use --layout mindcv, or train with "
        f"padding={possible}"
    )


def _check_target(source: Path, target: Path, layout: Layout | None) -> None:
    if target.resolve() == source.resolve() or (
        target.exists() and source.exists() and target.samefile(source)
    ):
        raise UserError(f"{target} is the file to convert: choose another name")
    if file_kind(target) == "ckpt" and layout not in (None, "mindcv"):
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


def _length(path: Path, tensors: Mapping[str, np.ndarray], name: str | None, axis: int, option: str) -> int:
    """Return the length of an axis of a weight, which determines an option of the network."""
    tensor = None if name is None else tensors.get(name)
    if tensor is None or tensor.ndim <= axis:
        named = "a tensor" if name is None else f"'{name}'"
        raise UserError(f"{path}: lacks {named} that determines {option}: give another file, or --{option}")
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
