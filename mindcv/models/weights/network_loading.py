"""Load weights from a file into a network."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import EMA_PREFIX, TRAINING_STATE
from mindcv.models.layers import Padding
from mindcv.models.weights.adaptation import adapt_stem, fold_eps
from mindcv.models.weights.layouts import (
    AVERAGES_COUNTER,
    COUNTER,
    Layout,
    detect_layout,
    find_layout,
    from_layout,
    layout_names,
    layouts_of,
)
from mindcv.models.weights.stated_options import leaves_padding_open, padding_of, stated_options
from mindcv.models.weights.weight_files import WeightFile, read_weights
from mindcv.structure import StagedNetwork, classifier_parameters, parts_of

__all__ = ["evaluation_options", "load_weights", "put_weights", "selected"]

logger = logging.getLogger(__name__)

COLOURS = 3
LISTED = 12
SHAPES_LISTED = 4


def load_weights(
    network: nn.Cell,
    path: str | Path,
    *,
    ema: bool = False,
    new_classifier: bool = False,
    padding: str | None = None,
) -> None:
    """Load every parameter of a network, batch normalisation's statistics included, from a file.

    The values are written in place, so that a network which has run already uses them too. Where the file was
    made for another epsilon of batch normalisation, gamma is adjusted; where it was made for images with 3
    channels and the network takes another number, the stem is converted (`adapt_stem`).

    Args:
        network: Any cell; its parameters' names are looked up in the file. For files of timm and torchvision
            its class must list the library in ``weight_layouts``, as `MnasNet` does.
        path: A file that `read_weights` reads, with names of MindCV, timm or torchvision.
        ema: Load the weights of the EMA model, which the file then must have.
        new_classifier: Leave out the classifier, whatever its shape in the file: the network keeps its own.
        padding: Padding that the file was made for, see `padding_of`.

    Raises:
        UserError: If the file cannot be read, does not match the network parameter for parameter, or was made
            for another padding; the message lists the differences.
    """
    put_weights(network, read_weights(path), ema=ema, new_classifier=new_classifier, padding=padding)


def put_weights(
    network: nn.Cell,
    file: WeightFile,
    *,
    ema: bool = False,
    new_classifier: bool = False,
    padding: str | None = None,
    made_for: str = "",
) -> None:
    """Load every parameter of a network from a file that has been read; see `load_weights`.

    `made_for` is the model that the file was made for, if it is known to be another one.
    """
    path, found = file.path, selected(file, ema=ema)
    library = detect_layout(found, layouts_of(network))
    layout = find_layout(layouts_of(network), library)
    try:
        names = layout_names(network, library)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    wanted: dict[str, Parameter] = network.parameters_dict()
    if new_classifier:
        left_out = _classifier(network)
        for name in left_out:
            found.pop(names[name], None)
            del wanted[name]
        logger.info("%s: all weights are loaded except %s", path, ", ".join(left_out))
    values = {
        name: from_layout(names[name], found[names[name]], layout) for name in wanted if names[name] in found
    }
    _convert_stem(network, path, values)
    known = {names[name]: parameter for name, parameter in wanted.items()}
    surplus = [n for n in found if n not in known and not _is_idle(n, found[n], known, library)]
    classifier = [parameter.name for parameter in classifier_parameters(network)]
    _check_match(path, wanted, values, names, surplus, classifier, made_for)
    _check_padding(network, file, padding)
    values = _with_eps_of(network, file, values)
    for name, parameter in wanted.items():
        ops.assign(parameter, Tensor(values[name], parameter.dtype))


def selected(file: WeightFile, *, ema: bool) -> dict[str, np.ndarray]:
    """Return the weights in a file, or those of the EMA model, by the file's names.

    Raises:
        UserError: If the file lacks them.
    """
    path, tensors = file.path, file.tensors
    ema_weights = {
        n.removeprefix(EMA_PREFIX): value for n, value in tensors.items() if n.startswith(EMA_PREFIX)
    }
    weights = {n: v for n, v in tensors.items() if not n.startswith((*TRAINING_STATE, EMA_PREFIX))}
    if ema and not ema_weights:
        raise UserError(f"{path}: has no EMA weights: load it with ema=False")
    if ema_weights and not ema and not weights:
        raise UserError(f"{path}: has EMA weights only: load it with ema=True")
    return ema_weights if ema else weights


def evaluation_options(network: nn.Cell) -> dict[str, Any]:
    """Return the options that weights depend on but their shapes do not show: ``bn_eps`` and ``padding``.

    Empty for a network that does not have them as attributes, as `MnasNet` does.
    """
    eps, padding = getattr(network, "bn_eps", None), getattr(network, "padding", None)
    if not isinstance(eps, (int, float)) or padding not in get_args(Padding):
        return {}
    return {"bn_eps": float(eps), "padding": padding}


def _with_eps_of(network: nn.Cell, file: WeightFile, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    new = evaluation_options(network).get("bn_eps")
    old = stated_options(file, layouts_of(network)).get("bn_eps", new)
    if new is None or old is None or new == old:
        return values
    logger.info(
        "%s: made for bn_eps=%g; gamma is adjusted to the network's %g, so that evaluation is the same",
        file.path,
        old,
        new,
    )
    try:
        return fold_eps(values, old, new)
    except UserError as error:
        raise UserError(f"{file.path}: {error}") from None


def _check_padding(network: nn.Cell, file: WeightFile, padding: str | None) -> None:
    own, layouts = evaluation_options(network).get("padding"), layouts_of(network)
    given = {} if padding is None else padding_of(file, layouts, padding)
    stated = {**stated_options(file, layouts), **given}.get("padding", own)
    if own not in (None, stated):
        is_open = leaves_padding_open(file, layouts) and not given
        remedy = f"build it with {stated}" + (f", or give padding={own} if the file was trained so" * is_open)
        raise UserError(f"{file.path}: made for padding={stated}, and the network has {own}: {remedy}")


def _convert_stem(network: nn.Cell, path: Path, values: dict[str, np.ndarray]) -> None:
    """Adapt the stem's kernels where they are for colour images and the network takes others."""
    if not isinstance(network, StagedNetwork):
        return
    stem = next((p for cell in parts_of(network).stem for p in cell.get_parameters() if p.ndim == 4), None)
    kernels = None if stem is None else values.get(stem.name)
    if stem is None or kernels is None or kernels.ndim != 4:
        return
    channels = stem.shape[1]
    if kernels.shape[1] == COLOURS != channels:
        values[stem.name] = adapt_stem(kernels, channels)
        logger.info("%s: its stem is for 3 channels, and is converted for %d", path, channels)


def _classifier(network: nn.Cell) -> list[str]:
    """Return the names of the classifier's parameters."""
    names = [parameter.name for parameter in classifier_parameters(network)]
    if not names:
        raise UserError(f"new_classifier=True: {type(network).__name__} has no classifier")
    return names


def _is_idle(name: str, value: np.ndarray, known: Mapping[str, Parameter], layout: Layout) -> bool:
    """Return whether a tensor is a by-product of training that evaluation does not use.

    In PyTorch that is a counter. In a file of MindCV or MindSpore it is a moment of one of the network's
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
    made_for: str,
) -> None:
    """Raise an error that lists the differences where a file does not fit, or names its model."""
    misshapen = [n for n in wanted if n in values and values[n].shape != tuple(wanted[n].shape)]
    shapes = [
        f"'{names[n]}' has shape {values[n].shape}, and {tuple(wanted[n].shape)} in the network"
        for n in misshapen
    ]
    floats = [n for n in values if wanted[n].is_floating_point()]
    integers = [n for n in floats if not np.issubdtype(values[n].dtype, np.floating)]
    differences = []
    missing = [names[name] for name in wanted if name not in values]
    if missing:
        differences.append(f"lacks {_list(map(repr, missing))}, which the network has")
    if misshapen:
        differences.append(_list(shapes, "; ", SHAPES_LISTED))
    if integers:
        differences.append(f"the values of {_list(repr(names[n]) for n in integers)} are integers")
    if surplus:
        differences.append(f"has {_list(map(repr, surplus))}, which the network lacks")
    if not differences:
        return
    if made_for:
        example = f" ({shapes[0]})" if shapes else ""
        raise UserError(f"{path}: made for another model{example}: give model={made_for}")
    remedy = "choose the model, num_classes and in_channels that the file was made with"
    if misshapen and set(misshapen) <= set(classifier) and len(differences) == 1:
        remedy = "choose the num_classes that the file was made with, or train with new_classifier=True"
    raise UserError(f"{path}: {'; '.join(differences)}: {remedy}")


def _list(items: Iterable[str], separator: str = ", ", listed: int = LISTED) -> str:
    """Join all items, or the first of very many and the number of the others."""
    items = list(items)
    more = len(items) - listed
    return separator.join(items) if more <= 0 else f"{separator.join(items[:listed])} and {more} more"
