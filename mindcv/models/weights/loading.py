"""Weights from a file into a network."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any, get_args

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import AVERAGE, TRAINING_STATE
from mindcv.models.layers import Padding
from mindcv.models.weights.adaptation import adapt_stem, fold_eps
from mindcv.models.weights.layouts import (
    AVERAGES_COUNTER,
    COUNTER,
    USUAL_EPS,
    Layout,
    detect_layout,
    layout_names,
)
from mindcv.models.weights.weight_files import WeightFile, read_weights

__all__ = ["evaluation_options", "load_weights", "put_weights", "selected", "stated_options"]

logger = logging.getLogger(__name__)

COLOURS = 3
LISTED = 12
SHAPES_LISTED = 4


def load_weights(
    network: nn.Cell, path: str | Path, *, ema: bool = False, new_classifier: bool = False
) -> None:
    """Load every parameter of a network, batch normalisation's statistics included, from a file.

    The values are written in place, so that a network which has run already uses them too. Where the file was
    made for another epsilon of batch normalisation, gamma takes up the difference; where it was made for
    images with 3 channels and the network takes another number, the stem is converted (`adapt_stem`).

    Args:
        network: Any cell; its parameters' names are looked up in the file. Files of timm and torchvision need
            a `MnasNet`.
        path: A file that `read_weights` reads, with names of MindCV, timm or torchvision.
        ema: Load the moving average of the weights, which the file then must have.
        new_classifier: Leave out the classifier, whatever its shape in the file: the network keeps its own.

    Raises:
        UserError: If the file cannot be read, does not match the network parameter for parameter, or was made
            for another padding; the message lists the differences.
    """
    put_weights(network, read_weights(path), ema=ema, new_classifier=new_classifier)


def put_weights(
    network: nn.Cell, file: WeightFile, *, ema: bool = False, new_classifier: bool = False
) -> None:
    """Load every parameter of a network from a file that has been read; see `load_weights`."""
    path, found = file.path, selected(file, ema=ema)
    layout = detect_layout(found)
    try:
        names = layout_names(network, layout)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    wanted: dict[str, Parameter] = network.parameters_dict()
    if new_classifier:
        left_out = _classifier(network)
        for name in left_out:
            found.pop(names[name], None)
            del wanted[name]
        logger.info("%s: loaded but for %s, which start afresh", path, ", ".join(left_out))
    values = {name: found[names[name]] for name in wanted if names[name] in found}
    _convert_stem(network, path, values)
    known = {names[name]: parameter for name, parameter in wanted.items()}
    surplus = [name for name in found if name not in known and not _is_idle(name, found[name], known, layout)]
    _check_match(path, wanted, values, names, surplus, _classifier_if_any(network))
    _check_padding(network, file)
    values = _with_eps_of(network, file, values)
    for name, parameter in wanted.items():
        ops.assign(parameter, Tensor(values[name], parameter.dtype))


def selected(file: WeightFile, *, ema: bool) -> dict[str, np.ndarray]:
    """The weights in a file, or their moving average, by the file's names.

    Raises:
        UserError: The file has not what is asked for.
    """
    path, tensors = file.path, file.tensors
    average = {n.removeprefix(AVERAGE): value for n, value in tensors.items() if n.startswith(AVERAGE)}
    weights = {n: v for n, v in tensors.items() if not n.startswith((*TRAINING_STATE, AVERAGE))}
    if ema and not average:
        raise UserError(f"{path}: holds no moving average of the weights: load it with ema=False")
    if average and not ema and not weights:
        raise UserError(f"{path}: holds the moving average of the weights alone: load it with ema=True")
    return average if ema else weights


def evaluation_options(network: nn.Cell) -> dict[str, Any]:
    """The options that weights depend on without a shape that tells: ``bn_eps`` and ``padding``.

    Empty for a network that does not carry them, as `MnasNet` does.
    """
    eps, padding = getattr(network, "bn_eps", None), getattr(network, "padding", None)
    if not isinstance(eps, (int, float)) or padding not in get_args(Padding):
        return {}
    return {"bn_eps": float(eps), "padding": padding}


def stated_options(file: WeightFile, options: Sequence[str] | None = None) -> dict[str, Any]:
    """The options with which a network is what the file was made for, as far as the file says them.

    Args:
        file: The file; names of timm and torchvision say their usual epsilon and padding.
        options: Those that the model has; by default all of them.

    Returns:
        ``bn_eps`` and ``padding``, or less.

    Raises:
        UserError: The file says what cannot be.
    """
    stated: dict[str, Any] = {}
    if file.layout != "mindcv":
        stated = {"bn_eps": USUAL_EPS[file.layout], "padding": "symmetric"}
    config = file.metadata.get("config")
    for source in (config if isinstance(config, dict) else {}, file.metadata):
        stated |= {key: source[key] for key in ("bn_eps", "padding") if source.get(key) is not None}
    eps, padding = stated.get("bn_eps", 1.0), stated.get("padding", "same")
    if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0 < eps < inf:
        raise UserError(f"{file.path}: says bn_eps={eps!r}, which is no positive number: use another file")
    if padding not in get_args(Padding):
        raise UserError(f"{file.path}: says padding={padding!r}, which is unknown: use another file")
    return {key: value for key, value in stated.items() if options is None or key in options}


def _with_eps_of(network: nn.Cell, file: WeightFile, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    new = evaluation_options(network).get("bn_eps")
    old = stated_options(file).get("bn_eps", USUAL_EPS["mindcv"])
    if new is None or new == old:
        return values
    logger.info(
        "%s: made for bn_eps=%g; for the network's %g gamma takes up the difference, so that evaluation "
        "is the same",
        file.path,
        old,
        new,
    )
    try:
        return fold_eps(values, old, new)
    except UserError as error:
        raise UserError(f"{file.path}: {error}") from None


def _check_padding(network: nn.Cell, file: WeightFile) -> None:
    own = evaluation_options(network).get("padding")
    stated = stated_options(file).get("padding", "symmetric")
    if own not in (None, stated):
        raise UserError(
            f"{file.path}: made for padding={stated}, and the network has {own}: build it with {stated}"
        )


def _convert_stem(network: nn.Cell, path: Path, values: dict[str, np.ndarray]) -> None:
    """Make the stem's kernels fit, where they are for colours and the network is not."""
    if not hasattr(network, "parts"):
        return
    stem = next((p for cell in network.parts()[0] for p in cell.get_parameters() if p.ndim == 4), None)
    kernels = None if stem is None else values.get(stem.name)
    if stem is None or kernels is None or kernels.ndim != 4:
        return
    channels = stem.shape[1]
    if kernels.shape[1] == COLOURS != channels:
        values[stem.name] = adapt_stem(kernels, channels)
        logger.info("%s: its stem is for 3 channels, and is converted for %d", path, channels)


def _classifier_if_any(network: nn.Cell) -> list[str]:
    classifier = getattr(network, "classifier", None)
    return [] if classifier is None else [parameter.name for parameter in classifier.get_parameters()]


def _classifier(network: nn.Cell) -> list[str]:
    """Names of the classifier's parameters."""
    names = _classifier_if_any(network)
    if not names:
        raise UserError(f"new_classifier=True: {type(network).__name__} has no cell of the name classifier")
    return names


def _is_idle(name: str, value: np.ndarray, known: Mapping[str, Parameter], layout: Layout) -> bool:
    """Whether a file holds this because it was saved while training, and evaluation has no use for it.

    In PyTorch that is a count. In a file of MindCV or MindSpore it is a moment of one of the network's
    parameters, a number such as the step, or the learning rates.
    """
    if layout != "mindcv":
        return name.endswith(COUNTER) or name == AVERAGES_COUNTER
    return name.partition(".")[2] in known or value.size == 1 or name == "learning_rate"


def _check_match(
    path: Path,
    wanted: Mapping[str, Parameter],
    values: Mapping[str, np.ndarray],
    names: Mapping[str, str],
    surplus: Sequence[str],
    classifier: Sequence[str],
) -> None:
    """Refuse a file that does not fit, and list why."""
    misshapen = [n for n in wanted if n in values and values[n].shape != tuple(wanted[n].shape)]
    floats = [n for n in values if wanted[n].is_floating_point()]
    integers = [n for n in floats if not np.issubdtype(values[n].dtype, np.floating)]
    differences = []
    missing = [names[name] for name in wanted if name not in values]
    if missing:
        differences.append(f"holds no {_list(map(repr, missing))}, which the network has")
    if misshapen:
        shapes = [
            f"'{names[n]}' has shape {values[n].shape}, and {tuple(wanted[n].shape)} in the network"
            for n in misshapen
        ]
        differences.append(_list(shapes, "; ", SHAPES_LISTED))
    if integers:
        differences.append(f"{_list(repr(names[n]) for n in integers)} holds no floats")
    if surplus:
        differences.append(f"holds {_list(map(repr, surplus))}, which the network has not")
    if not differences:
        return
    remedy = "choose the model, num_classes and in_channels that the file was made with"
    if misshapen and set(misshapen) <= set(classifier) and len(differences) == 1:
        remedy = "choose the num_classes that the file was made with, or train with new_classifier=True"
    raise UserError(f"{path}: {'; '.join(differences)}: {remedy}")


def _list(items: Iterable[str], separator: str = ", ", listed: int = LISTED) -> str:
    """All items, or the first of very many and how many more there are."""
    items = list(items)
    more = len(items) - listed
    return separator.join(items) if more <= 0 else f"{separator.join(items[:listed])} and {more} more"
