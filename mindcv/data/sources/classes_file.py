"""The file that states the classes of a dataset, one folder name per line."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mindcv.errors import UserError

__all__ = ["CLASSES_FILE", "SHOWN", "classes_text", "listed_classes", "quoted"]

CLASSES_FILE = "classes.txt"
LARGEST = 32 << 20  # bytes
MOST_CLASSES = 100_000  # as of num_classes
SHOWN = 5  # names in a message
LINE_BREAK = re.compile(r"\r\n?|\n")  # str.splitlines has others, which may be in a name


def listed_classes(path: Path) -> list[str]:
    """Return the lines of a ``classes.txt``; empty if there is no such file.

    Raises:
        UserError: If it cannot be read, is empty, lists too many classes, one of them twice, or what is not a
            folder's name.
    """
    if not path.is_file():
        return []
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} is larger than {LARGEST >> 20} MB: give every class one line")
        text = path.read_bytes().decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError:
        raise UserError(f"{path} is not in UTF-8: save it in this encoding") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check its permissions") from None
    classes = _lines(text)
    outside = [name for name in classes if name in (".", "..") or "/" in name or "\0" in name]
    if outside:
        raise UserError(f"{path} lists {quoted(outside)}: give names of folders, without a path")
    repeated = [name for name, count in Counter(classes).items() if count > 1]
    if repeated or not classes:
        what = f"lists {quoted(repeated)} more than once" if repeated else "is empty"
        raise UserError(f"{path} {what}: give every class one line")
    if len(classes) > MOST_CLASSES:
        raise UserError(f"{path} lists {len(classes)} classes: list at most {MOST_CLASSES}")
    return classes


def classes_text(classes: Sequence[str]) -> str:
    """Return the content of a ``classes.txt``.

    Raises:
        UserError: If a class has a name that no line can hold, such as one with a line break.
    """
    for name in classes:
        try:
            fits = _lines(name.encode().decode()) == [name]
        except UnicodeEncodeError:
            fits = False
        if not fits:
            raise UserError(
                f"the class {name!r} has a name that no line of {CLASSES_FILE} can hold: rename it"
            )
    return "".join(f"{name}\n" for name in classes)


def quoted(names: Sequence[str], shown: int = SHOWN) -> str:
    """Return the first of some names for a message."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(f"'{name}'" for name in names[:shown]) + more


def _lines(text: str) -> list[str]:
    return [line.strip() for line in LINE_BREAK.split(text) if line.strip()]
