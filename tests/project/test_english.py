"""The English and Chinese of guides, recipes and changelog."""

from pathlib import Path

import pytest
from support.english import RULES, check_chinese, check_code, check_text

ROOT = Path(__file__).parents[2]
GUIDES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("configs/*/*.md")]
TEXTS = sorted([*GUIDES, *ROOT.glob("configs/*/*.yaml"), *ROOT.glob("requirements*.txt")])
CHINESE = sorted(path for path in GUIDES if path.stem.endswith("_CN"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.wrong)
def test_a_rule_finds_its_wrong_sentence_and_not_its_right_one(rule):
    assert rule.instead in {finding.instead for finding in check_text(rule.wrong, "file")}
    assert check_text(rule.right, "file") == []


def test_findings_have_the_line_and_cross_line_breaks():
    text = "All is well.\n\nThe run goes\n  on with `goes on with` its\nstate. Files are\n| passed  over.\n"
    assert [finding[:2] for finding in check_text(text, "a.md")] == [
        ("a.md:6", "passed over"),
        ("a.md:3", "goes on with"),
    ]


def test_docstrings_messages_comments_and_names_of_tests_are_checked():
    code = (
        '"""What is here."""\n'
        "def test_a_state_that_is_taken_up(x):\n"
        '    """Return it, made\n    anew."""\n'
        "    # The classifier is\n    # spared.\n"
        '    raise ValueError(f"{x} is no " f"option")\n'
    )
    assert sorted(finding[:2] for finding in check_code(code, "a.py")) == [
        ("a.py:1", "What is here."),
        ("a.py:2", "taken up"),
        ("a.py:4", "anew"),
        ("a.py:6", "spared"),
        ("a.py:7", "is no option"),
    ]


def test_ascii_punctuation_beside_chinese_is_found_outside_of_code():
    text = "训练,验证。\n`训练,` 和 (GPU) 见 [配方](a_CN.md)。\n```\n训练,\n```\n模型(小)\n"
    assert [finding[:2] for finding in check_chinese(text, "a.md")] == [
        ("a.md:1", "练,"),
        ("a.md:6", "型("),
        ("a.md:6", "小)"),
    ]


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_texts_are_plain_english(path):
    assert check_text(path.read_text(encoding="utf-8"), relative(path)) == []


@pytest.mark.parametrize("path", CHINESE, ids=relative)
def test_chinese_texts_have_chinese_punctuation(path):
    assert check_chinese(path.read_text(encoding="utf-8"), relative(path)) == []


def test_both_languages_are_checked():
    assert {"README.md", "docs/data.md", "configs/mnasnet/mnasnet1.0_gpu.yaml"} <= set(map(relative, TEXTS))
    assert list(map(relative, CHINESE)) == ["README_CN.md", "configs/mnasnet/README_CN.md"]
