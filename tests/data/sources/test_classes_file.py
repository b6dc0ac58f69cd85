"""``classes.txt``: what its lines may be, and which names no line can hold."""

import os

import pytest

from mindcv.data.sources.classes_file import MOST_CLASSES, classes_text, listed_classes
from mindcv.errors import UserError

NAMES = ["cat", "a\u2028b", "a\x0bb", "a\x1cb", "a\x85b", "Kätzchen", "a b", "\ufeffcat"]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_any_name_that_fits_a_line_is_read_back(tmp_path, line_break):
    path = tmp_path / "classes.txt"
    path.write_bytes(classes_text(NAMES).replace("\n", line_break).encode())
    assert listed_classes(path) == NAMES


@pytest.mark.parametrize("name", ["a\nb", "a\rb", " cat", "cat\t", " ", os.fsdecode(b"\xff")])
def test_a_name_that_no_line_can_hold_is_refused(name):
    with pytest.raises(UserError, match=r"has a name that no line of classes\.txt can hold: rename it$"):
        classes_text(["cat", name])


def test_more_classes_than_a_network_can_have_are_refused(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("".join(f"{number}\n" for number in range(MOST_CLASSES)), encoding="utf-8")
    assert len(listed_classes(path)) == MOST_CLASSES
    with path.open("a", encoding="utf-8") as file:
        file.write("one more\n")
    with pytest.raises(UserError, match=r"lists 100001 classes: list at most 100000$"):
        listed_classes(path)
    os.truncate(path, (32 << 20) + 1)
    with pytest.raises(UserError, match=r"is larger than 32 MB: give every class one line$"):
        listed_classes(path)
