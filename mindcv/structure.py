"""Protocols by which networks and layers describe their components to code that does not know their classes.

A network returns its stem, stages, head and classifier (`StagedNetwork`), which feature pyramids, freezing,
summaries, layer-wise learning rates, adaptive clipping and the conversion of weights use. A layer of a
family's own returns the cells that it applies (`CompositeLayer`), which summaries and exports use.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from mindcv.errors import UserError

if TYPE_CHECKING:
    from mindspore import Parameter, nn

__all__ = [
    "CompositeLayer",
    "Composition",
    "Parts",
    "StagedNetwork",
    "classifier_parameters",
    "parts_of",
]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The cells of a network from input to output; applied one after the other they are the network.

    Args:
        stem: Cells in front of the first stage.
        stages: Cells of each stage.
        head: Cells between the last stage and the classifier; none in a network that returns features.
        classifier: The cells that make the logits: the last dense layer, and what belongs to it, such as
            dropout.
    """

    stem: "Sequence[nn.Cell]"
    stages: "Sequence[Sequence[nn.Cell]]"
    head: "Sequence[nn.Cell]" = ()
    classifier: "Sequence[nn.Cell]" = ()

    def in_order(self) -> "list[Sequence[nn.Cell]]":
        """Return stem, stages, head and classifier."""
        return [self.stem, *self.stages, self.head, self.classifier]

    def named(self) -> "dict[str, Sequence[nn.Cell]]":
        """Return the parts that have cells by name: stem, stage 0 and so on, head, classifier."""
        names = ["stem", *(f"stage {i}" for i in range(len(self.stages))), "head", "classifier"]
        return {name: part for name, part in zip(names, self.in_order(), strict=True) if part}


@runtime_checkable
class StagedNetwork(Protocol):
    """A network that describes its parts."""

    def parts(self) -> Parts:
        """Return the cells from input to output."""
        ...


@dataclass(frozen=True, kw_only=True)
class Composition:
    """The computation of a layer in evaluation: steps in sequence, and how their result is combined.

    Args:
        steps: Cells, ``"mean"`` (over the positions: (N, C, H, W) to (N, C, 1, 1)) or ``"flatten"`` ((N, C,
            1, 1) to (N, C)). Without steps the layer returns its input.
        combine: ``"add"`` adds the layer's input to the result, ``"multiply"`` multiplies the input by it.
    """

    steps: "Sequence[nn.Cell | Literal['mean', 'flatten']]" = ()
    combine: Literal["add", "multiply"] | None = None


@runtime_checkable
class CompositeLayer(Protocol):
    """A layer that describes its computation by means of other cells."""

    def composition(self) -> Composition:
        """Return the steps."""
        ...


def parts_of(network: object, purpose: str = "") -> Parts:
    """Return a network's parts.

    Args:
        network: A `StagedNetwork`.
        purpose: The option that needs them, with its value, for the message.

    Raises:
        UserError: If the network does not describe its parts.
    """
    if isinstance(network, StagedNetwork):
        parts = network.parts()
        if isinstance(parts, Parts):
            return parts
    start = f"{purpose}: " if purpose else ""
    remedy = f", or leave {purpose.partition('=')[0]} out" if purpose else ""
    raise UserError(
        f"{start}{type(network).__name__} does not describe its parts: give it a method parts() that returns "
        f"mindcv.structure.Parts{remedy}"
    )


def classifier_parameters(network: object) -> "list[Parameter]":
    """Return the parameters of a network's classifier, or none where it has no classifier.

    That is the last part of a `StagedNetwork`, and the cell ``classifier`` of another network.
    """
    if isinstance(network, StagedNetwork):
        return [parameter for cell in parts_of(network).classifier for parameter in cell.get_parameters()]
    get_parameters: Callable | None = getattr(getattr(network, "classifier", None), "get_parameters", None)
    return [] if get_parameters is None else list(get_parameters())
