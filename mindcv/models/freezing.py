"""Freezing the first layers of a network, so that training does not change them."""

from mindspore import nn

from mindcv.errors import UserError, did_you_mean
from mindcv.models.dropout import Dropout
from mindcv.structure import parts_of

__all__ = ["freeze"]


def freeze(network: nn.Cell, what: str | int) -> None:
    """Freeze the first layers of a network: their parameters, their statistics and their randomness.

    A frozen parameter requires no gradient, a frozen batch normalisation uses its running statistics and
    does not change them, and a frozen dropout drops nothing: while the other layers train, the frozen ones
    compute what they compute in evaluation. Freeze before the optimizer is built and before the network first
    runs: a compiled graph would not be updated.

    Args:
        network: A `StagedNetwork`.
        what: ``"backbone"`` for everything but the classifier, or a number N for the stem and the first N
            stages; 0 is the stem only.

    Raises:
        UserError: If there are fewer stages, the word is unknown, or the network does not describe its parts.
    """
    parts = parts_of(network, f"freeze={what}").in_order()
    for part in parts[: _frozen_parts(what, len(parts))]:
        for cell in part:
            _freeze_cell(cell)


def _frozen_parts(what: str | int, parts: int) -> int:
    """Return how many parts are to be frozen, counted from the input."""
    if what == "backbone":
        return parts - 1
    if isinstance(what, str):
        remedy = did_you_mean(what, ["backbone"]) or ": give backbone or a number of stages"
        raise UserError(f"freeze='{what}' is unknown{remedy}")
    stages = parts - 3
    if isinstance(what, bool) or not isinstance(what, int) or not 0 <= what <= stages:
        raise UserError(
            f"freeze={what} must be a number of stages from 0 to {stages}, or backbone for all but the "
            "classifier"
        )
    return 1 + what


def _freeze_cell(cell: nn.Cell) -> None:
    for parameter in cell.get_parameters():
        parameter.requires_grad = False
    for _, inner in cell.cells_and_names():
        # Not set_train(False): the next set_train(True) of the network would undo it.
        if hasattr(inner, "use_batch_statistics"):
            inner.use_batch_statistics = False
        elif isinstance(inner, Dropout):
            inner.rate = 0.0
