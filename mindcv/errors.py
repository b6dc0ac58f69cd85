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
]


class Stopped(Exception):  # noqa: N818, a stop on request is not an error
    """A run ended early on request; the message says how to continue it."""


class UserError(ValueError):
    """A mistake that the user can fix; the one-line message names the place, the problem and the remedy.

    The command-line programs print it without a traceback and exit with `status`; in a notebook it is an
    ordinary `ValueError`.

    Attributes:
        status: Exit status of a program.
    """

    status = 2

    def __init__(self, message: str) -> None:
        super().__init__("".join(map(_printable, " ".join(message.splitlines()))))


def _printable(character: str) -> str:
    """A character of a user's text, or its escape where a terminal would obey it or could not show it."""
    return character if character.isprintable() else repr(character)[1:-1]


class ConfigError(UserError):
    """A mistake in the options, which are the same for all processes of a run: only rank 0 prints it."""


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
    near = get_close_matches(name, list(options), n=1, cutoff=0.75)
    return f"; did you mean '{near[0]}'?" if near else ""
