"""Which networks run on the kernels: decided when a network is compiled, or called in PyNative mode."""

import logging
import os
import sys
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindcv.kernels.chain import UncoveredError, chain_of
from mindcv.kernels.library import library, library_path
from mindcv.kernels.operators import EvaluatedFeatures, TrainedFeatures

__all__ = ["AcceleratedFeatures", "kernels_wanted", "takes"]

logger = logging.getLogger("mindcv.kernels")

SWITCH = "MINDCV_KERNELS"  # 0 switches the kernels off
HOOKS = ("_lazy_forward_pre_hook", "_lazy_forward_hook", "_lazy_backward_pre_hook", "_lazy_backward_hook")
HOOKS += ("_cell_backward_pre_hook", "_cell_backward_hook")

SETTINGS = ("fp16", "bf16", "use_batch_statistics", "rate")  # of cells that have them


@dataclass
class _Found:
    """A decision about a network.

    Args:
        state: What it depends on.
        cells: The network's, kept so that their ids in the state are not given to others.
        cell: The cell that computes the features, or None.
    """

    state: list[Any]
    cells: list[nn.Cell]
    cell: nn.Cell | None


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
        self.made: WeakKeyDictionary[nn.Cell, _Found] = WeakKeyDictionary()

    def __get__(self, network: Any, owner: type | None = None) -> Any:
        if network is None:
            return self
        if not kernels_wanted():
            return None
        cells = [cell for _, cell in network.features.cells_and_names()]
        state = [network.training, *map(_state, cells)]
        found = self.made.get(network)
        if found is None or found.state != state:
            found = _Found(state, cells, self._make(network))
            self.made[network] = found
        return found.cell

    def _make(self, network: Any) -> nn.Cell | None:
        try:
            if any(_has_hook(cell) for _, cell in network.features.cells_and_names()):
                raise UncoveredError("a cell with a hook")
            chain = chain_of([network.features])
            trained = network.training and chain.is_trained
            if not trained and (chain.drop_paths or chain.uses_batch_statistics):
                raise UncoveredError("a network in evaluation with a layer in training")
        except UncoveredError as error:
            logger.debug("no CPU kernels for %s", error)
            return None
        loaded = library()
        if loaded is None:
            return None
        kind = TrainedFeatures if trained else EvaluatedFeatures
        return kind(loaded, library_path(), chain, pool=self.pool)


def takes(x: Tensor) -> bool:
    """Return whether kernels take such images, while a network runs or is compiled.

    Half precision and a shape that a compiled network leaves open need the operators.
    """
    return x.dtype == ms.float32 and not ops.is_sequence_value_unknown(x.shape)


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


def _state(cell: nn.Cell) -> tuple[Any, ...]:
    """Return what of a cell decides about the kernels and may change."""
    own = cell.__dict__
    parameters = [(id(p), p.requires_grad, p.dtype) for p in cell._params.values() if p is not None]
    return (id(cell), cell.training, _has_hook(cell), *map(own.get, SETTINGS), *parameters)


def _has_hook(cell: nn.Cell) -> bool:
    return any(cell.__dict__.get(name) for name in HOOKS)
