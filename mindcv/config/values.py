"""Values of options: from what stands in a file or on a command line to the option's own type."""

from collections.abc import Iterator, Mapping
from math import isfinite
from os import fsencode
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from mindcv.config.schema import OPTION_TYPES
from mindcv.config.yaml_file import load_value
from mindcv.errors import ConfigError, did_you_mean

__all__ = ["described", "read_option", "read_options", "read_text"]

LONGEST_TEXT = 4096  # bytes: no path on Linux is longer
NOTHING = object()  # the result where a value fits no type; None is a value


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with values of their types.

    Args:
        options: Values by name, as from a YAML file.

    Raises:
        ConfigError: If a value does not fit.
    """
    return {key: read_option(key, value) for key, value in options.items()}


def read_option(key: str, value: Any) -> Any:
    """Return a value in the type of its option.

    Names get this project's case, 5.0 becomes 5 where integers are expected, and a list becomes a tuple. A
    text is read as YAML unless the option is one itself.

    Args:
        key: Name of the option.
        value: Its value, as from a YAML file.

    Raises:
        ConfigError: If the value does not fit.
    """
    kind = OPTION_TYPES[key]
    given = value
    if isinstance(value, str):
        value = _from_text(kind, value)
        _check_text(key, value)
    if any(part in (int, float) or get_origin(part) is tuple for part in _parts(kind)):
        for number in _numbers(value):
            if not isfinite(number):
                raise ConfigError(f"{key}={given} is not finite: give {described(kind)}")
    fitted = _fitted(kind, value)
    if fitted is NOTHING:
        raise ConfigError(_misfit(key, given))
    return fitted


def read_text(key: str, text: str) -> Any:
    """Do the same with a text on a command line, where null has no other spelling for options that are texts.

    Args:
        key: Name of the option.
        text: Its value.

    Raises:
        ConfigError: If the value does not fit.
    """
    parts = _parts(OPTION_TYPES[key])
    return None if text == "null" and str in parts and NoneType in parts else read_option(key, text)


def _from_text(kind: Any, text: str) -> Any:
    """A text as it is where the option takes it, or the YAML value that it spells."""
    if not text or _fitted(kind, text) is not NOTHING:  # "" is not null
        return text
    try:
        return load_value(text)
    except ConfigError:
        return text


def _check_text(key: str, value: Any) -> None:
    """Reject what cannot be a name of a file, nor of anything else."""
    if isinstance(value, str):
        try:
            length = len(fsencode(value))
        except UnicodeEncodeError:  # half of a surrogate pair
            length = 0
        if "\0" in value or (value and not length):
            raise ConfigError(f"{key}={value} is not valid text: remove its NUL and surrogate characters")
        if length > LONGEST_TEXT:
            raise ConfigError(f"{key}={value} is longer than {LONGEST_TEXT} bytes: shorten it")


def _numbers(value: Any) -> Iterator[float]:
    """The floating-point numbers in a value."""
    for each in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(each, float):
            yield each


def _fitted(kind: Any, value: Any) -> Any:
    """A value in a type, or `NOTHING` if it does not fit."""
    for part in _parts(kind):
        fitted = _fitted_to_part(part, value)
        if fitted is not NOTHING:
            return fitted
    return NOTHING


def _fitted_to_part(kind: Any, value: Any) -> Any:
    if get_origin(kind) is Literal:
        return next((choice for choice in get_args(kind) if _same(choice, value)), NOTHING)
    if get_origin(kind) is tuple:
        return _fitted_list(get_args(kind), value) if isinstance(value, (list, tuple)) else NOTHING
    if kind in (NoneType, bool, str):
        return value if isinstance(value, kind) else NOTHING
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return NOTHING
    if kind is int:
        return int(value) if value == int(value) else NOTHING
    return float(value) if abs(value) < 2**1000 else NOTHING


def _fitted_list(kinds: tuple[Any, ...], values: Any) -> Any:
    if kinds[-1] is not Ellipsis and len(values) != len(kinds):
        return NOTHING
    fitted = tuple(_fitted(kinds[0], each) for each in values)
    return NOTHING if NOTHING in fitted else fitted


def _same(choice: Any, value: Any) -> bool:
    if isinstance(choice, str):
        return isinstance(value, str) and choice.lower() == value.lower()
    return type(choice) is type(value) and choice == value  # 1 is neither true nor 1.0


def _parts(kind: Any) -> tuple[Any, ...]:
    """The types that a union consists of."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _misfit(key: str, value: Any) -> str:
    """The message about a value that does not fit its option's type."""
    kind = OPTION_TYPES[key]
    shown = "null" if value is None else str(value)
    choices = [str(c) for part in _parts(kind) if get_origin(part) is Literal for c in get_args(part)]
    return f"{key}={shown} does not fit: give {described(kind)}{did_you_mean(shown, choices)}"


def described(kind: Any) -> str:
    """Describe a type in words, such as "a number or null"."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(described(part) for part in get_args(kind))
    if get_origin(kind) is tuple:
        first, *rest = get_args(kind)
        return f"a list of {_PLURALS[first]}, such as " + (
            "[1, 2, 3]" if rest == [Ellipsis] else "[0.5, 1.0]"
        )
    return _WORDS[kind]


_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "a string", NoneType: "null"}
_PLURALS = {int: "integers", float: "numbers"}
