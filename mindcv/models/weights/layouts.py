"""Names of a network's parameters in MindCV, timm and torchvision, as listed by its family.

Ours are MindCV's. A family of networks lists in its attribute ``weight_layouts`` the libraries whose weights
fit it, and its layers' names there.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args, runtime_checkable

import numpy as np
from mindspore import nn

from mindcv.choices import Layout
from mindcv.errors import UserError

__all__ = [
    "AVERAGES_COUNTER",
    "COUNTER",
    "LAYOUTS",
    "Layout",
    "WeightLayout",
    "detect_layout",
    "find_layout",
    "from_layout",
    "in_layout",
    "is_foreign",
    "layout_names",
    "layouts_of",
    "without_prefix",
]

LAYOUTS: tuple[Layout, ...] = get_args(Layout)

# PyTorch counts the batches that a normalisation has seen, which no network here uses.
COUNTER = "num_batches_tracked"

# An EMA model also counts its updates.
AVERAGES_COUNTER = "n_averaged"

_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_DATA_PARALLEL = "module."


@dataclass(frozen=True, kw_only=True)
class WeightLayout:
    """The names and conventions of one library's weights for a family of networks.

    Args:
        library: The library.
        stem: Its names of the first convolution and of the normalisation behind it.
        classifier: Its name of the last dense layer.
        layers: Given a network, the library's name of each layer that has parameters, by our name; raises a
            `UserError` where the library has no such network. None where the names are ours.
        bn_eps: Epsilon of batch normalization in the library's networks.
        padding: Padding of the library's networks.
        paddings: Paddings that they support.
        kernels: The library's names of convolutions with kernels of 1x1 that are dense layers here.
        version: The version that a PyTorch file of the library states.
    """

    library: Layout
    stem: tuple[str, str]
    classifier: str
    layers: Callable[[Any], Mapping[str, str]] | None = None
    bn_eps: float
    padding: str = "symmetric"
    paddings: tuple[str, ...] = ("symmetric", "same")
    kernels: tuple[str, ...] = ()
    version: int = 1

    def options(self) -> dict[str, Any]:
        """Return the options with which a network computes the same as the library's."""
        return {"bn_eps": self.bn_eps, "padding": self.padding}


@runtime_checkable
class _KnownElsewhere(Protocol):
    weight_layouts: tuple[WeightLayout, ...]


def layouts_of(family: object) -> tuple[WeightLayout, ...]:
    """Return the layouts that a network or its class lists; none where it lists none."""
    return family.weight_layouts if isinstance(family, _KnownElsewhere) else ()


def find_layout(layouts: Sequence[WeightLayout], library: Layout) -> WeightLayout | None:
    """Return the layout of one library, or None where it is not listed."""
    return next((layout for layout in layouts if layout.library == library), None)


def is_foreign(names: Collection[str]) -> bool:
    """Return whether names are PyTorch's: MindSpore has no running_mean."""
    return any(name.endswith((".running_mean", ".running_var")) for name in names)


def detect_layout(names: Collection[str], layouts: Sequence[WeightLayout]) -> Layout:
    """Return the library of names, recognized by stem and normalisation; MindCV if no other fits.

    Args:
        names: Names of tensors in a file.
        layouts: What the network's family lists.
    """
    if is_foreign(names):
        for layout in layouts:
            convolution, norm = layout.stem
            marks = (f"{convolution}.weight", f"{norm}.running_mean")
            if layout.library != "mindcv" and any(mark in names for mark in marks):
                return layout.library
    return "mindcv"


def without_prefix(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors of PyTorch without the ``module.`` that DataParallel puts before each name."""
    prefixed = all(name.startswith(_DATA_PARALLEL) or name == AVERAGES_COUNTER for name in tensors)
    if not prefixed or not is_foreign(tensors):
        return dict(tensors)
    return {name.removeprefix(_DATA_PARALLEL): value for name, value in tensors.items()}


def layout_names(network: nn.Cell, library: Layout) -> dict[str, str]:
    """Return the name in a library of each parameter of a network.

    Args:
        network: For a foreign library, a network whose class lists its ``weight_layouts``.
        library: Whose names.

    Returns:
        Names in the library by our own, in the network's order.

    Raises:
        UserError: If the library has no such network.
    """
    own = list(network.parameters_dict())
    layout = find_layout(layouts_of(network), library)
    if library == "mindcv":
        return {name: name for name in own}
    if layout is None or layout.layers is None:
        raise UserError(
            f"the names of {type(network).__name__}'s parameters in {library} are unknown: list them in its "
            "class, as weight_layouts"
        )
    layers = layout.layers(network)
    names = {}
    for name in own:
        layer, _, last = name.rpartition(".")
        names[name] = f"{layers[layer]}.{_NORM.get(last, last)}"
    return names


def in_layout(tensors: Mapping[str, np.ndarray], network: nn.Cell, library: Layout) -> dict[str, np.ndarray]:
    """Return a network's tensors by a library's names, with the counters that ``strict=True`` wants there.

    Args:
        tensors: All of the network's, by our names.
        network: Their network.
        library: Whose names they are to have.
    """
    layout = find_layout(layouts_of(network), library)
    found = {}
    for ours, theirs in layout_names(network, library).items():
        value = tensors[ours]
        layer, _, last = theirs.rpartition(".")
        is_kernel = layout is not None and layer in layout.kernels and last == "weight"
        found[theirs] = value[:, :, None, None] if is_kernel else value
        if theirs.endswith(".running_var"):
            found[f"{layer}.{COUNTER}"] = np.array(0, np.int64)
    return found


def from_layout(name: str, value: np.ndarray, layout: WeightLayout | None) -> np.ndarray:
    """Return a tensor of a library in the shape that it has here.

    Args:
        name: Its name in the library.
        value: The tensor.
        layout: The library's layout.
    """
    layer = name.rpartition(".")[0]
    is_kernel = layout is not None and layer in layout.kernels and value.shape[2:] == (1, 1)
    return value[:, :, 0, 0] if is_kernel else value
