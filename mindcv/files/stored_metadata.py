"""The metadata that this project stores in its files, JSON of known keys, checked when they are read."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mindcv.errors import UserError

__all__ = ["check_metadata", "parse_metadata"]

MAX_LENGTH = 16 << 20  # characters
MAX_DEPTH = 16
MAX_CLASSES = 100_000
MAX_CHANNELS = 1024
EXACT = 1 << 53  # integers up to here are exact as float64, which ranks exchange


def parse_metadata(path: Path, text: object, key: str) -> dict[str, Any]:
    """Return the metadata in a JSON text.

    Args:
        path: The file, for messages.
        text: What the file holds.
        key: Its name in the file, for messages.

    Raises:
        UserError: If it is not a JSON object of moderate size and depth, or `check_metadata` refuses it.
    """
    try:
        if not isinstance(text, str) or len(text) > MAX_LENGTH:
            raise ValueError
        metadata = json.loads(text)
        if not isinstance(metadata, dict) or _is_deeper(metadata, MAX_DEPTH):
            raise ValueError
    except (ValueError, RecursionError):
        raise UserError(
            f"{path}: its metadata '{key}' is not JSON of this project: use another file"
        ) from None
    check_metadata(path, metadata)
    return metadata


def check_metadata(path: Path, metadata: Mapping[str, Any]) -> None:
    """Check the types of all known keys; a program need not check them again.

    Raises:
        UserError: If one is wrong; the message names the file and the key.
    """
    _check(path, metadata, _KNOWN, "")
    _check(path, metadata.get("config") or {}, _OPTIONS, "config.")


def _check(path: Path, values: Mapping[str, Any], known: "_Table", prefix: str) -> None:
    for key, (is_valid, expected) in known.items():
        value = values.get(key)
        is_unset = value is None and (key not in values or key in _MAY_BE_NULL)
        if not is_unset and not is_valid(value):
            raise UserError(
                f"{path}: says {prefix}{key}={_shown(value)}, which must be {expected}: use another file"
            )


def _is_deeper(value: object, depth: int) -> bool:
    level: list[object] = [value]
    while level and depth >= 0:
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        level, depth = inner, depth - 1
    return bool(level)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}..."


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= EXACT


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return value != value or abs(value) <= EXACT  # NaN is a score, too


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list(is_item: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_item, value))


def _is_kept(value: object) -> bool:
    """Whether this is the name of a kept checkpoint and its score."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    return isinstance(value[0], str) and (value[1] is None or _is_number(value[1]))


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_position(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return all(_is_count(value[key]) for key in ("epoch", "batch") if key in value)


_Table = dict[str, tuple[Callable[[Any], bool], str]]

_OPTIONS: _Table = {  # all others are checked where a program reads its options
    "num_classes": (lambda value: _is_count(value) and 1 <= value <= MAX_CLASSES, "1 to 100000"),
    "in_channels": (lambda value: _is_count(value) and 1 <= value <= MAX_CHANNELS, "1 to 1024"),
    "bn_eps": (lambda value: _is_number(value) and value > 0, "a positive number"),
}

_KNOWN: _Table = {
    **_OPTIONS,
    "model": (_is_text, "a name"),
    "config": (_is_object, "a mapping of options"),
    "classes": (_is_list(_is_text), "a list of names"),
    "padding": (_is_text, "a name"),
    "run": (_is_text, "a text"),
    "epoch": (_is_count, "a number of epochs"),
    "step": (_is_count, "a number of updates"),
    "top1": (_is_number, "a number"),
    "best_top1": (_is_number, "a number"),
    "kept": (_is_list(_is_kept), "a list of names and scores"),
    "progress": (_is_position, "the position of a run"),
    "averaged": (_is_list(_is_text), "a list of files"),
}

_MAY_BE_NULL = {"run", "top1", "best_top1", "config", "classes", *_OPTIONS}
