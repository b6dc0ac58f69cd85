"""Which networks run on the kernels: decided when a network is compiled, or called in PyNative mode."""

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import mindspore as ms
from mindspore import nn

from mindcv.kernels.chain import UncoveredError, chain_of
from mindcv.kernels.library import library, library_path
from mindcv.kernels.operators import EvaluatedFeatures, TrainedFeatures

__all__ = ["AcceleratedFeatures", "kernels_wanted"]

logger = logging.getLogger("mindcv.kernels")

SWITCH = "MINDCV_KERNELS"  # 0 switches the kernels off
HOOKS = ("_lazy_forward_pre_hook", "_lazy_forward_hook", "_lazy_backward_pre_hook", "_lazy_backward_hook")
HOOKS += ("_cell_backward_pre_hook", "_cell_backward_hook")


class AcceleratedFeatures:
    """An attribute of a network: the cell that computes its features on this CPU, or None.

    MindSpore asks for the attribute when it compiles the network, and PyNative mode at each call. The network
    has its feature layers as ``features``. Its parameters, their names and its own cells stay as they are:
    exports and accelerators see the plain operators.

    Args:
        pool: Whether the cell returns the mean over the positions, of shape (N, C, 1, 1).
    """

    def __init__(self, *, pool: bool) -> None:
        self.pool = pool
        self.made: WeakKeyDictionary[nn.Cell, tuple[Any, nn.Cell | None]] = WeakKeyDictionary()

    def __get__(self, network: Any, owner: type | None = None) -> Any:
        if network is None:
            return self
        if not kernels_wanted():
            return None
        cells = _leaves(network.features)
        state = (network.training, *(_state(cell) for cell in cells))
        found = self.made.get(network)
        if found is None or found[0] != state:
            found = (state, self._make(network))
            self.made[network] = found
        return found[1]

    def _make(self, network: Any) -> nn.Cell | None:
        try:
            if any(_has_hook(cell) for _, cell in network.features.cells_and_names()):
                raise UncoveredError("a cell with a hook")
            chain = chain_of([network.features])
        except UncoveredError as error:
            logger.debug("no CPU kernels for %s", error)
            return None
        loaded = library()
        if loaded is None:
            return None
        kind = TrainedFeatures if network.training else EvaluatedFeatures
        return kind(loaded, library_path(), chain, pool=self.pool)


def kernels_wanted() -> bool:
    """Return whether MindSpore runs on the CPU, kernels are switched on, and nothing is being exported."""
    if os.environ.get(SWITCH, "") == "0" or ms.get_context("device_target") != "CPU":
        return False
    return not _is_exporting()


def _is_exporting() -> bool:
    """Return whether MindSpore's export is among the callers: a file for other machines gets no kernels."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "export" and frame.f_globals.get("__name__", "").startswith("mindspore."):
            return True
        frame = frame.f_back
    return False


def _leaves(cell: nn.Cell) -> Sequence[nn.Cell]:
    inner = list(cell.cells())
    return [leaf for c in inner for leaf in _leaves(c)] if inner else [cell]


def _state(cell: nn.Cell) -> tuple[Any, ...]:
    """Return what of a cell decides about the kernels and may change."""
    return (
        id(cell),
        cell.training,
        getattr(cell, "fp16", False) or getattr(cell, "bf16", False),
        getattr(cell, "use_batch_statistics", None),
        _has_hook(cell),
    )


def _has_hook(cell: nn.Cell) -> bool:
    return any(cell.__dict__.get(name) for name in HOOKS)
