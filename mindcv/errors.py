"""The one exception that a user's own mistake raises, and how programs tell it."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

__all__ = ["UserError", "did_you_mean", "reporting_mistakes"]


class UserError(ValueError):
    """A mistake that its one-line message explains: what, where and how to mend it.

    The command-line programs print it without a traceback and exit with status 2; in a notebook it is
    an ordinary `ValueError`.
    """


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


@contextmanager
def reporting_mistakes() -> Iterator[None]:
    """Turn a user's mistake into one line on standard error and exit status 2; Ctrl-C into status 130."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        raise SystemExit(130) from None
