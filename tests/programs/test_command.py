"""One command for all programs: `mindcv VERB`, also as `python -m mindcv VERB`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mindcv.__main__ import VERBS, main

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mindcv", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_verb_in_a_line(arguments):
    ran = run(*arguments)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.findall(r"^  (\S+) +\w", ran.stdout, re.MULTILINE) == list(VERBS)
    assert ran.stdout.startswith("usage: python -m mindcv VERB [options]\n")


def test_every_program_of_the_package_is_a_verb():
    programs = {path.stem for path in (ROOT / "mindcv" / "programs").glob("*.py")} - {"__init__"}
    assert {verb.replace("-", "_") for verb in VERBS} == programs


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("trian", "error: unknown verb 'trian'; did you mean 'train'?\n"),
        ("zzz", "error: unknown verb 'zzz'; --help lists all verbs\n"),
        ("--lr", "error: unknown verb '--lr'; --help lists all verbs\n"),
    ],
)
def test_an_unknown_verb_is_one_line_with_the_nearest(verb, expected):
    ran = run(verb)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", expected)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_runs_its_program_and_its_usage_names_what_the_user_typed(verb, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/mindcv", verb, "--help"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: mindcv {verb} ")


def test_a_verb_passes_the_rest_of_the_command_line_on():
    ran = run("train", "--lr", "-1")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "error: command line: lr=-1.0 is out of range: give a positive number\n"
