"""Values of options: other spellings of the same value, and those that do not fit the option's type."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from mindcv.config.schema import OPTION_TYPES
from mindcv.errors import ConfigError

__all__ = ["checked", "misfit", "respelled", "respelled_arguments"]


def respelled(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with names in the case of this project, and 5 for 5.0 where integers are expected."""
    return {key: _respelled(OPTION_TYPES[key], value) for key, value in options.items()}


def respelled_arguments(arguments: Sequence[str]) -> list[str]:
    """Do the same to a command line."""
    result, key = [], ""
    for argument in arguments:
        name, given, value = argument.partition("=")
        if key in OPTION_TYPES:
            result.append(_respelled_text(OPTION_TYPES[key], argument))
            key = ""
            continue
        key = name.removeprefix("--") if name.startswith("--") else ""
        if given and key in OPTION_TYPES:
            argument, key = f"{name}={_respelled_text(OPTION_TYPES[key], value)}", ""
        result.append(argument)
    return result


def _respelled_text(kind: Any, text: str) -> str:
    if int in _parts(kind) and float not in _parts(kind):
        try:
            return str(int(text) if float(text) != int(float(text)) else int(float(text)))
        except (ValueError, OverflowError):
            pass
    return str(_respelled(kind, text))


def _respelled(kind: Any, value: Any) -> Any:
    if isinstance(value, str):
        same = [c for c in _choices(kind) if isinstance(c, str) and c.lower() == value.lower()]
        return same[0] if same else value
    if isinstance(value, list):
        element = next((get_args(part)[0] for part in _parts(kind) if get_origin(part) is tuple), None)
        return [_respelled(element, each) for each in value]
    whole = isinstance(value, float) and value.is_integer()
    return int(value) if whole and int in _parts(kind) and float not in _parts(kind) else value


def _parts(kind: Any) -> tuple[Any, ...]:
    """The types that a union consists of."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _choices(kind: Any) -> list[Any]:
    return [c for part in _parts(kind) if get_origin(part) is Literal for c in get_args(part)]


def checked(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Reject what jsonargparse accepts: null where the type excludes it, and true or 1.0 in place of 1."""
    for key, value in options.items():
        kind = OPTION_TYPES.get(key)
        if kind is not None and value is None and NoneType not in get_args(kind):
            raise ConfigError(misfit(key, "null"))
        if get_origin(kind) is Literal and isinstance(value, (bool, float)):
            raise ConfigError(misfit(key, value))
    return options


def misfit(key: str, value: Any) -> str:
    """Return the message about a value that does not fit its option's type."""
    kind = OPTION_TYPES[key]
    near = get_close_matches(str(value), [str(choice) for choice in _choices(kind)], n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"{key}={value} does not fit: give {_described(kind)}{hint}"


def _described(kind: Any) -> str:
    """Describe a type."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_described(part) for part in get_args(kind))
    if get_origin(kind) is tuple:
        first, *rest = get_args(kind)
        return f"a list of {_PLURALS[first]}, such as " + (
            "[1, 2, 3]" if rest == [Ellipsis] else "[0.5, 1.0]"
        )
    return _WORDS[kind]


_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "a string", NoneType: "null"}
_PLURALS = {int: "integers", float: "numbers"}
