"""Read what a checkpoint or an exported network stores about itself: its training's options, its classes."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindcv.config import OPTION_TYPES, Config, given_option, load_config, options_in_scope
from mindcv.errors import UserError
from mindcv.export import METADATA
from mindcv.files.onnx_network import open_onnx
from mindcv.files.stored_metadata import parse_metadata
from mindcv.models.registry import find_model
from mindcv.models.weights.weight_files import read_weights

__all__ = [
    "are_numbers",
    "holds_training_state",
    "load_stored_config",
    "named_classes",
    "stored_options",
    "tell_changes",
]

logger = logging.getLogger("mindcv.build")

ONLY_IN_TRAINING = {"drop_rate", "drop_path_rate", "bn_momentum"}


def load_stored_config(argv: Sequence[str]) -> tuple[Config, list[str]]:
    """Read the options of a program that uses the finished network in `ckpt_path`.

    Later wins: the defaults, the options stored in `ckpt_path` that belong to the network, the YAML file
    after -c, the command line.

    Args:
        argv: Command line without the program's name, such as ``["--ckpt_path", "mnasnet_100_best.ckpt"]``.

    Returns:
        The options, and the class names stored in the file, in the order of the logits, see `named_classes`.

    Raises:
        ConfigError: If the options are wrong, those stored in the file included.
        UserError: If the file cannot be read, or there is no such model.
    """
    path = given_option(argv, "ckpt_path")
    stored, classes = stored_options(path) if path else ({}, [])
    kept = _of_the_network(stored, classes)
    stored_in = f"{path} (options of its training)"
    config = load_config(argv, kept, stored_in=stored_in)
    model, from_file = config.model.model_name, kept.get("model") == config.model.model_name
    if Path(path or "").suffix != ".onnx":  # which holds its network
        try:
            find_model(model)  # a wrong name is reported before images are read
        except UserError as error:
            raise UserError(f"{stored_in}: {error}" if from_file else str(error)) from None
    return config, _names(stored, classes)


def _of_the_network(stored: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    names = options_in_scope("network")
    # An option that no longer exists is kept too: loading it names it, and what to do.
    kept = {name: value for name, value in stored.items() if name in names or name not in OPTION_TYPES}
    if classes and kept.get("num_classes") is None:
        kept["num_classes"] = len(classes)
    return kept


def named_classes(path: str | Path) -> list[str]:
    """Return the class names stored in a file; none if its training images had numbers only (MindRecord).

    Args:
        path: A file of weights, or an ONNX file.

    Raises:
        UserError: See `stored_options`.
    """
    return _names(*stored_options(path))


def _names(stored: Mapping[str, Any], classes: list[str]) -> list[str]:
    return [] if stored.get("dataset") == "mindrecord" and are_numbers(classes) else classes


def are_numbers(classes: Sequence[str]) -> bool:
    """Return whether classes have no names but their labels, as those of a MindRecord without a list."""
    return list(classes) == [str(label) for label in range(len(classes))]


def holds_training_state(path: str | Path) -> bool:
    """Return whether a run could resume from a file of weights, see `mindcv.engine.resume.read_state`."""
    return "progress" in read_weights(path).metadata


def tell_changes(config: Config) -> None:
    """Log in one line which options stored in `ckpt_path` the command line or the YAML file changes."""
    path = config.model.checkpoint_path
    stored = stored_options(path) if path else ({}, [])
    if not stored[0]:
        return
    before, now = load_config([], _of_the_network(*stored)).options(), config.options()
    changed = [
        f"{name}={_shown(now[name])} instead of {_shown(before[name])}"
        for name in sorted(options_in_scope("network") - ONLY_IN_TRAINING)
        if before[name] != now[name]
    ]
    if changed:
        logger.info("%s: scored with %s", path, ", ".join(changed))


def _shown(value: Any) -> str:
    return "the default" if value is None else str(value)


def stored_options(path: str | Path) -> tuple[dict[str, Any], list[str]]:
    """Read the options and the class names stored in a file.

    Args:
        path: A file of weights, or an ONNX file.

    Returns:
        All flat options of the training, as from `Config.options`, and the names in the order of the logits;
        both empty if the file stores none, such as one of MindCV.

    Raises:
        UserError: If the file cannot be read, or onnxruntime, which reads ONNX files, is not installed.
    """
    path = Path(path)
    metadata = _exported(path) if path.suffix == ".onnx" else read_weights(path).metadata
    options, classes = metadata.get("config") or {}, metadata.get("classes") or []
    return dict(options), list(classes)


def _exported(path: Path) -> Mapping[str, Any]:
    """The metadata that export.py has written into an ONNX file; empty if another program wrote the file."""
    text = open_onnx(path).get_modelmeta().custom_metadata_map.get(METADATA, "{}")
    return parse_metadata(path, text, METADATA)
