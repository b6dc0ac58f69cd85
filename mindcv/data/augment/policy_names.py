"""The syntax of policy names, timm's: a head, then options after dashes, as in ``rand-m9-mstd0.5``."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mindcv.errors import UserError, did_you_mean

__all__ = ["Number", "Option", "Word", "mistake", "read_options", "split_name"]

# A dash separates, except in d-1.
SEPARATOR = re.compile(r"(?<!-d)-")


@dataclass(frozen=True)
class Number:
    """An option whose value is a number.

    Args:
        low: Smallest value.
        high: Largest value.
        whole: Integers only.
        also: A further value with a special meaning.
    """

    low: float
    high: float
    whole: bool = False
    also: str | None = None

    @property
    def values(self) -> str:
        """The values, in words."""
        other = f"{self.also}, or " if self.also else ""
        kind = "an integer" if self.whole else "a number"
        return f"{other}{kind} from {self.low:g} to {self.high:g}"

    def owns(self, text: str) -> bool:
        """Return whether the text after the option's name can belong to it."""
        return text == self.also or not text[:1].isalpha()

    def allows(self, text: str) -> bool:
        """Return whether a text is one of the values."""
        if text == self.also:
            return True
        pattern = r"\d+" if self.whole else r"\d+(\.\d*)?|\.\d+"
        return bool(re.fullmatch(pattern, text, re.ASCII)) and self.low <= float(text) <= self.high


@dataclass(frozen=True)
class Word:
    """An option whose value is one of several words."""

    words: tuple[str, ...]

    @property
    def values(self) -> str:
        """The values, in words."""
        return " or ".join(self.words)

    def owns(self, text: str) -> bool:
        """Return whether the text after the option's name can belong to it."""
        return text in self.words or not text[:1].isalpha()

    def allows(self, text: str) -> bool:
        """Return whether a text is one of the values."""
        return text in self.words


Option = Number | Word


def split_name(name: str, heads: Iterable[str]) -> tuple[str, list[str]]:
    """Return the head of a policy's name, and the options after it.

    Args:
        name: Such as ``rand-m9-mstd0.5``.
        heads: Known heads.

    Raises:
        UserError: If the head is unknown.
    """
    head, *tokens = SEPARATOR.split(name)
    heads = sorted(heads)
    if head not in heads:
        hint = did_you_mean(head, heads)
        raise UserError(f"auto_augment={name!r} is unknown: begin with one of {', '.join(heads)}{hint}")
    return head, tokens


def read_options(name: str, head: str, tokens: list[str], options: Mapping[str, Option]) -> dict[str, str]:
    """Return options by name, with their values as written.

    Args:
        name: The name, for messages.
        head: Its head.
        tokens: What follows it, such as ``["m9", "mstd0.5"]``.
        options: What the head allows.

    Raises:
        UserError: If an option is unknown, is duplicated or has a value out of range.
    """
    values: dict[str, str] = {}
    for token in tokens:
        key = next((k for k, o in options.items() if token.startswith(k) and o.owns(token[len(k) :])), None)
        if key is None:
            known = f"has {', '.join(options)}" if options else "has none"
            hint = did_you_mean(re.split(r"[^a-z]", token)[0], options)
            raise mistake(name, f"unknown option {token!r}: {head} {known}{hint}")
        if key in values:
            raise mistake(name, f"{token!r} repeats {key}: give it once")
        values[key] = token[len(key) :]
        if not options[key].allows(values[key]):
            raise mistake(name, f"{token!r} is invalid: {key} takes {options[key].values}")
    return values


def mistake(name: str, message: str) -> UserError:
    """Return the error about a policy's name."""
    return UserError(f"auto_augment={name!r}: {message}")
