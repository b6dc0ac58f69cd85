"""Freezing the front of a network, so that training leaves it as it is."""

from mindspore import nn

from mindcv.errors import UserError, did_you_mean
from mindcv.models.dropout import Dropout

__all__ = ["freeze"]


def freeze(network: nn.Cell, what: str | int) -> None:
    """Freeze the front of a network: its parameters, its statistics and its randomness.

    A frozen parameter requires no gradient, a frozen batch normalisation uses its running statistics and
    does not change them, and nothing is dropped: while the rest trains, the frozen part computes what it
    computes in evaluation. Freeze before the optimizer is built and before the network first runs, because
    a compiled graph would not notice.

    Args:
        network: A network with a method ``parts``, such as `MnasNet`: lists of its cells, from input to
            output; the first is the stem, and the last two are head and classifier.
        what: ``"backbone"`` for everything but the classifier, or a number N for the stem and the first N
            stages; 0 is the stem alone.

    Raises:
        UserError: There are not that many stages, the word is unknown, or the network has no ``parts``.
    """
    if not hasattr(network, "parts"):
        raise UserError(
            f"freeze={what}: {type(network).__name__} does not tell its parts: give it a method parts, "
            "or leave freeze out"
        )
    parts = network.parts()
    for part in parts[: _frozen_parts(what, len(parts))]:
        for cell in part:
            _freeze_cell(cell)


def _frozen_parts(what: str | int, parts: int) -> int:
    """How many parts, from the input on, are to be frozen."""
    if what == "backbone":
        return parts - 1
    if isinstance(what, str):
        remedy = did_you_mean(what, ["backbone"]) or ": give backbone or a number of stages"
        raise UserError(f"freeze='{what}' is unknown{remedy}")
    stages = parts - 3
    if isinstance(what, bool) or not isinstance(what, int) or not 0 <= what <= stages:
        raise UserError(
            f"freeze={what} is no number of stages: give 0 to {stages}, or backbone for those and the head"
        )
    return 1 + what


def _freeze_cell(cell: nn.Cell) -> None:
    for parameter in cell.get_parameters():
        parameter.requires_grad = False
    for _, inner in cell.cells_and_names():
        # Not set_train(False): the next set_train(True) of the whole network would undo it.
        if hasattr(inner, "use_batch_statistics"):
            inner.use_batch_statistics = False
        elif isinstance(inner, Dropout):
            inner.rate = 0.0
