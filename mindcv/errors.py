"""What ends a program before its time: a user's own mistake, with a hint, or a user's wish."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["NotFiniteError", "Stopped", "UserError", "did_you_mean"]


class Stopped(Exception):  # noqa: N818, it is no error
    """A run has ended early, as somebody asked it to; the message says how to go on."""


class UserError(ValueError):
    """A mistake that its one-line message explains: what, where and how to mend it.

    The command-line programs print it without a traceback and exit with status 2; in a notebook it is
    an ordinary `ValueError`.

    Attributes:
        status: With which status a program ends.
    """

    status = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split("\n")))


class NotFiniteError(UserError):
    """A loss or a weight is infinite or no number any more."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """The tail of an error message about an unknown name: its nearest valid one, or nothing.

    Args:
        name: What the user wrote.
        options: What would have been valid.

    Returns:
        ``"; did you mean 'x'?"``, or an empty string where nothing is near.
    """
    near = get_close_matches(name, list(options), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
