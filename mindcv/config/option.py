"""An option: a field of a section with everything that is known about it, and the checks of its range."""

import inspect
import re
from dataclasses import Field, dataclass, field, fields
from functools import cache
from math import inf
from typing import Any, Literal, get_type_hints

from mindcv.errors import ConfigError
from mindcv.ranges import Range, out_of_range

__all__ = ["Option", "Scope", "Section", "check", "option", "options_of", "title_of"]

LARGEST = 2**31 - 1  # the largest number that MindSpore's counters can hold: a limit for ranges without one

# network: describes the finished network, so programs that use its checkpoint read it from there.
# training: changes what a training run computes.
# run: may change when a run is resumed, because it does not change what is computed.
Scope = Literal["network", "training", "run"]


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option by its flat name, as it appears in YAML files, on the command line and in checkpoints.

    Args:
        name: Flat name, usually MindCV's.
        field: Name of the section's field, which is the keyword of the factory.
        kind: Type.
        default: Default value.
        help: What it does, from the section's docstring.
        range: Numbers that it may have; None if the section checks it otherwise or any value is valid.
        scope: What it belongs to.
        aliases: Names that other toolkits use for it; an error message suggests `name` instead.
        unit: Unit of its value.
    """

    name: str
    field: str
    kind: Any
    default: Any
    help: str
    range: Range | None = None
    scope: Scope = "training"
    aliases: tuple[str, ...] = ()
    unit: str = ""


def option(
    default: Any,
    *,
    yaml: str = "",
    range: Range | None = None,
    scope: Scope = "training",
    aliases: tuple[str, ...] = (),
    unit: str = "",
) -> Any:
    """Return the dataclass field of an option.

    Args:
        default: Default value.
        yaml: Its flat name where that is not the field's own.
        range: See `Option`, as for the others.
        scope: What it belongs to.
        aliases: Names that other toolkits use for it.
        unit: Unit of its value.
    """
    traits = {"yaml": yaml, "range": range, "scope": scope, "aliases": aliases, "unit": unit}
    return field(default=default, metadata=traits)


@dataclass(frozen=True, kw_only=True)
class Section:
    """Base of all sections: checks the range of every field, then what the fields must agree in."""

    def __post_init__(self) -> None:
        for each in fields(self):
            limits, value = each.metadata.get("range"), getattr(self, each.name)
            if limits is not None and isinstance(value, (int, float)):
                check(self, each.name, value in limits, limits.remedy)
                check(self, each.name, limits.high < inf or value <= LARGEST, f"give at most {LARGEST}")
        self.check()

    def check(self) -> None:
        """Check what a range cannot express.

        Raises:
            ConfigError: If a value is invalid or two values contradict each other.
        """


def check(section: Section, name: str, valid: bool, remedy: str) -> None:
    """Reject the value of a field unless it is `valid`; the message has the option's flat name."""
    if not valid:
        value = getattr(section, name)
        shown = list(value) if isinstance(value, tuple) else value  # as a user writes it
        flat = next(_flat_name(each) for each in fields(section) if each.name == name)
        raise ConfigError(out_of_range(flat, shown, remedy))


@cache
def options_of(section: type[Section]) -> tuple[Option, ...]:
    """Return the options of a section, in order."""
    kinds, texts = get_type_hints(section), _documentation(section)
    return tuple(
        Option(
            name=_flat_name(each),
            field=each.name,
            kind=kinds[each.name],
            default=each.default,
            help=texts[each.name],
            **{key: value for key, value in each.metadata.items() if key != "yaml"},
        )
        for each in fields(section)
    )


def title_of(section: type[Section]) -> str:
    """Return the first line of a section's docstring, the title of its group in --help."""
    return inspect.cleandoc(section.__doc__ or "").splitlines()[0].removesuffix(".")


def _flat_name(each: Field[Any]) -> str:
    return each.metadata.get("yaml") or each.name


def _documentation(section: type[Section]) -> dict[str, str]:
    """The text about each field in the section's docstring."""
    arguments = inspect.cleandoc(section.__doc__ or "").partition("Args:\n")[2]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
