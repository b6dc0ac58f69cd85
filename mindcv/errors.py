"""Exceptions that end a program early: a mistake that the user can fix, or a stop that the user asked for."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "CallbackError",
    "ConfigError",
    "ContradictionError",
    "NotFiniteError",
    "Stopped",
    "UnknownKeywordError",
    "UnknownNameError",
    "UserError",
    "did_you_mean",
    "one_line",
    "printable",
]

LONGEST_LINE = 470  # characters; with "error: " and a rank in front of it, a line stays below 500
LONGEST_WORD = 100  # characters of a word in a line that is too long
LONGEST_NAME = 64  # characters; an option or a class with a longer name than this does not exist


def printable(text: str) -> str:
    """Escape what a terminal would obey or could not show: control characters, bidirectional marks, bytes.

    Line breaks are escaped too.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def one_line(text: str) -> str:
    """Return a message as one line that is safe and short for a terminal.

    Line breaks become spaces, and other characters that are not printable are escaped. Where the line is
    longer than `LONGEST_LINE`, its long words lose their middle, and if need be the line does, so that it
    still begins with the place and ends with the remedy.
    """
    text = _without_middle(text, 20 * LONGEST_LINE)  # escaping takes time
    line = printable(" ".join(text.splitlines()))
    if len(line) > LONGEST_LINE:
        line = " ".join(_without_middle(word, LONGEST_WORD) for word in line.split(" "))
    return _without_middle(line, LONGEST_LINE)


def _without_middle(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    end = (length - 3) // 2
    return f"{text[: length - 3 - end]}...{text[-end:]}"


class Stopped(Exception):  # noqa: N818, a stop on request is not an error
    """A run ended early on request; the message says how to continue it."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UserError(ValueError):
    """A mistake that the user can fix; the one-line message names the place, the problem and the remedy.

    The command-line programs print it without a traceback and exit with `status`; in a notebook it is an
    ordinary `ValueError`.

    Attributes:
        status: Exit status of a program.
    """

    status = 2

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class ConfigError(UserError):
    """A mistake in the options, which are usually the same for all processes of a run."""


class UnknownNameError(UserError, NotImplementedError):
    """A choice that does not exist, for which MindCV raises `NotImplementedError`."""


class ContradictionError(UserError, RuntimeError):
    """Arguments that do not go together, for which MindSpore raises `RuntimeError`."""


class UnknownKeywordError(UserError, TypeError):
    """A keyword that does not exist, for which Python raises `TypeError`."""


class NotFiniteError(UserError):
    """A loss or a weight is NaN or infinite."""


class CallbackError(Exception):
    """A callback of a training run has failed; the message names it, and its own error is the cause."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return the end of an error message about an unknown name: the nearest valid one.

    Args:
        name: The name that the user wrote.
        options: The valid names.

    Returns:
        ``"; did you mean 'x'?"``, or an empty string if no valid name is near.
    """
    if len(name) > LONGEST_NAME:  # comparing it would take seconds
        return ""
    near = get_close_matches(name, list(options), n=1, cutoff=0.75)
    return f"; did you mean '{near[0]}'?" if near else ""
