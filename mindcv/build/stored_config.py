"""What a checkpoint or an exported network tells about itself: the options it was made with, its classes."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindcv.config import Config, ConfigError, given_option, load_config, refuse
from mindcv.errors import UserError
from mindcv.export import METADATA
from mindcv.models.weights.weight_files import read_weights
from mindcv.files.onnx_network import open_onnx
from mindcv.config import OPTION_TYPES

__all__ = ["load_stored_config", "parse_stored_args", "stored_options"]

# What of a training's options makes a finished network what it is, by section: what it is built from, and
# what images it expects. All others are the training run's own, of its machine, its files and its
# optimisation, and are not taken over.
NETWORK_OPTIONS = {
    "data": ("dataset",),
    "augment": ("image_resize", "val_image_resize", "interpolation", "crop_pct", "mean", "std"),
    "model": (
        "model",
        "num_classes",
        "in_channels",
        "drop_rate",
        "drop_path_rate",
        "bn_eps",
        "bn_momentum",
        "padding",
    ),
    "ema": ("ema",),
}


def parse_stored_args(argv: Sequence[str] | None = None) -> tuple[Config, list[str]]:
    """The options of a program that uses a finished network; see `load_stored_config`.

    What is wrong is printed in one line, and ends the program with status 2.

    Args:
        argv: Command line without the program's name; by default this process's own.
    """
    try:
        return load_stored_config(sys.argv[1:] if argv is None else argv)
    except (ConfigError, UserError) as error:
        refuse(str(error))


def load_stored_config(argv: Sequence[str]) -> tuple[Config, list[str]]:
    """Options where `ckpt_path` is a finished network's.

    Later wins: the defaults, those options that the file in `ckpt_path` has kept and that belong to the
    network, the YAML file after -c, the command line.

    Args:
        argv: Command line without the program's name, such as ``["--ckpt_path", "mnasnet_100_best.ckpt"]``.

    Returns:
        The options, and the class names that the file has kept, in the order of the logits.

    Raises:
        ConfigError: If the options are wrong, or what the file has kept is.
        UserError: If the file cannot be read.
    """
    path = given_option(argv, "ckpt_path")
    stored, classes = stored_options(path) if path else ({}, [])
    names = {name for section in NETWORK_OPTIONS.values() for name in section}
    kept = {name: value for name, value in stored.items() if name in names or name not in OPTION_TYPES}
    if classes and kept.get("num_classes") is None:
        kept["num_classes"] = len(classes)
    return load_config(argv, kept, stored_in=f"{path} (options of its training)"), classes


def stored_options(path: str | Path) -> tuple[dict[str, Any], list[str]]:
    """The options and the class names that a file has kept.

    Args:
        path: A file of weights, or an ONNX file.

    Returns:
        All flat options of the training, as from `Config.options`, and the names in the order of the logits;
        both empty where the file has kept none, such as one of MindCV.

    Raises:
        UserError: If the file cannot be read, or onnxruntime, which reads ONNX files, is not installed.
    """
    path = Path(path)
    metadata = _exported(path) if path.suffix == ".onnx" else read_weights(path).metadata
    options, classes = metadata.get("config") or {}, metadata.get("classes") or []
    if not isinstance(options, Mapping) or not isinstance(classes, list):
        raise UserError(f"{path}: what it keeps of its training is in no known form: use another file")
    return dict(options), [str(name) for name in classes]


def _exported(path: Path) -> Mapping[str, Any]:
    """What export.py has written into an ONNX file; nothing where another program has made it."""
    text = open_onnx(path).get_modelmeta().custom_metadata_map.get(METADATA, "{}")
    try:
        metadata = json.loads(text)
    except ValueError:
        metadata = None
    if not isinstance(metadata, Mapping):
        raise UserError(f"{path}: its metadata '{METADATA}' is no JSON of options: export it anew")
    return metadata
