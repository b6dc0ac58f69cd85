"""From a file of weights to one of another kind, another layout of names, or another epsilon."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from mindspore import nn

from mindcv.errors import UserError
from mindcv.models.registry import create_model, find_model
from mindcv.models.weights.adaptation import fold_eps
from mindcv.models.weights.layouts import USUAL_EPS, Layout, classifier_name, in_layout, stem_name
from mindcv.models.weights.loading import evaluation_options, put_weights, selected, stated_options
from mindcv.models.weights.weight_files import WeightFile, file_kind, read_weights, write_weights

__all__ = ["Converted", "convert_weights"]

KEPT = ("config", "classes")


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What `convert_weights` has written; its text is one line.

    Args:
        path: The file.
        model: Name of the model.
        layout: Whose names the tensors have.
        tensors: How many there are.
        options: What the network must be built with, ``bn_eps`` and ``padding``; empty where the model has no
            such options.
        sha256: Of the file, hexadecimal.
    """

    path: Path
    model: str
    layout: Layout
    tensors: int
    options: dict[str, Any]
    sha256: str

    def __str__(self) -> str:
        facts = [f"{self.model} in {self.layout}'s names", f"{self.tensors} tensors"]
        usual = {"bn_eps": USUAL_EPS[self.layout], "padding": "symmetric"}
        for key, value in self.options.items():
            text = f"{value:g}" if isinstance(value, float) else value
            needed = "" if value == usual[key] else f", which the network needs (usual is {usual[key]})"
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
    """Read a file of weights and write it for another library, or for another network here.

    Args:
        source: The file to read, see `read_weights`.
        target: The file to write; the end of its name says of which kind.
        model: Name of the model; by default the one that the file names.
        layout: Whose names the tensors get; by default ours in a ``.ckpt``, and timm's in other files.
        bn_eps: Epsilon that the written weights are for, gamma taking up a difference. ``"keep"`` is the
            file's own, with gamma as it is. By default ``"keep"`` for our layout, and 1e-5 for timm and
            torchvision.
        num_classes: Number of logits; by default the file's.
        in_channels: Channels of the images; by default the file's. With another number than its 3, the stem
            is converted.
        ema: Convert the moving average of the weights.

    Raises:
        UserError: A file cannot be read or written, the weights are not the model's, or the layout has no
            such network.
    """
    source, target = Path(source), Path(target)
    layout = layout or ("mindcv" if file_kind(target) == "ckpt" else "timm")
    _check_target(source, target, layout)
    file = read_weights(source)
    name = find_model(model or _model_of(file)).name
    options = find_model(name).options or ()
    network = create_model(
        name,
        num_classes or _length(file, classifier_name(file.layout), 0, "num_classes", ema=ema),
        in_channels=in_channels or _length(file, stem_name(file.layout), 1, "in_channels", ema=ema),
        **stated_options(file, options),
    )
    put_weights(network, file, ema=ema)
    tensors = {p.name: p.asnumpy() for p in network.get_parameters()}
    built = evaluation_options(network)
    if layout == "torchvision" and built.get("padding") == "same":
        raise UserError(f"{source}: made for padding=same, which torchvision has not: take layout timm")
    if layout != "mindcv" and bn_eps is None:
        bn_eps = USUAL_EPS[layout]
    if bn_eps not in (None, "keep"):
        tensors, built = _for_eps(network, tensors, built, bn_eps)
    written = in_layout(tensors, network, layout)
    write_weights(target, written, _metadata(file, network, name, built), layout=layout)
    sha256 = hashlib.sha256(target.read_bytes()).hexdigest()
    return Converted(
        path=target, model=name, layout=layout, tensors=len(written), options=built, sha256=sha256
    )


def _check_target(source: Path, target: Path, layout: Layout) -> None:
    if target.resolve() == source.resolve() or (
        target.exists() and source.exists() and target.samefile(source)
    ):
        raise UserError(f"{target} is the file to convert: choose another name")
    if file_kind(target) == "ckpt" and layout != "mindcv":
        raise UserError(
            f"{target}: a MindSpore checkpoint has MindCV's names, and layout={layout} others: "
            "write .safetensors or .pth"
        )
    if not target.parent.is_dir():
        raise UserError(f"{target}: there is no folder {target.parent}: make it first")


def _model_of(file: WeightFile) -> str:
    config = file.metadata.get("config")
    model = file.metadata.get("model") or (config.get("model") if isinstance(config, dict) else None)
    if not isinstance(model, str):
        raise UserError(f"{file.path}: does not name its model: give --model, such as mnasnet_100")
    return model


def _length(file: WeightFile, name: str, axis: int, option: str, *, ema: bool) -> int:
    """The length of an axis of one tensor, which tells an option of the network."""
    tensor = selected(file, ema=ema).get(name)
    if tensor is None or tensor.ndim <= axis:
        raise UserError(
            f"{file.path}: holds no '{name}' that tells {option}: give another file, or --{option}"
        )
    return tensor.shape[axis]


def _for_eps(
    network: nn.Cell, tensors: Mapping[str, np.ndarray], built: Mapping[str, Any], eps: float
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if not built:
        raise UserError(
            f"bn_eps={eps}: {type(network).__name__} does not tell its own: leave it out, or keep it"
        )
    if built["bn_eps"] == eps:
        return dict(tensors), dict(built)
    return fold_eps(tensors, built["bn_eps"], eps), {**built, "bn_eps": eps}


def _metadata(file: WeightFile, network: nn.Cell, model: str, built: Mapping[str, Any]) -> dict[str, Any]:
    """What the written file says: how to build its network, and what the read one knew of its training."""
    kept = {key: file.metadata[key] for key in KEPT if key in file.metadata}
    shape = {key: getattr(network, key) for key in ("num_classes", "in_channels") if hasattr(network, key)}
    if isinstance(kept.get("config"), dict):
        kept["config"] = {**kept["config"], **shape, **built, "ema": False}
    return {**kept, "model": model, **shape, **built}
