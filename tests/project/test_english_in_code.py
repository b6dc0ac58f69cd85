"""The English of docstrings, messages, help texts, comments and names of tests."""

from pathlib import Path

import pytest
from support.english import check_code

ROOT = Path(__file__).parents[2]
RULES = {ROOT / "tests" / "support" / "english.py", ROOT / "tests" / "project" / "test_english.py"}
FOLDERS = ("mindcv", "tools", "tests")
CODE = sorted(
    {*ROOT.glob("*.py"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))} - RULES
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_code_is_in_plain_english(path):
    assert check_code(path.read_text(encoding="utf-8"), relative(path)) == []


def test_programs_package_and_tests_are_checked():
    assert {
        "train.py",
        "tools/convert.py",
        "mindcv/loss/jsd.py",
        "tests/loss/test_cross_entropies.py",
    } <= set(map(relative, CODE))
