"""Thousands of random files and command lines: each is accepted, or refused in one short, plain line."""

import importlib
import io
import random
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from mindcv.config import load_config
from mindcv.errors import UserError
from tests.support.fuzzed_options import Case, fuzzed_case

pytestmark = pytest.mark.hostile

SECONDS = 1.0  # for a case, on a machine that does other things too
CHARACTERS = 500
# Words that say how the program is made, and not what is wrong.
INNER_WORDS = (
    *("<class", "NoneType", "Union", "Literal[", "typing", "argparse", "Parser key", "Does not validate"),
    *("Expected a ", "Traceback", "Error(", "object at 0x", "positive_int", "yaml.", "codec"),
)


def outcome(case: Case, file: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return the standard output of a case, and the lines that it is answered with."""
    if case.content is not None:
        file.write_bytes(case.content)
    argv = [argument.replace("FILE", str(file)) for argument in case.argv]
    printed, said, status = io.StringIO(), io.StringIO(), None
    with redirect_stdout(printed), redirect_stderr(said):
        try:
            if case.program is None:
                load_config(argv, case.stored, stored_in="a.ckpt")
            else:
                monkeypatch.setattr(sys, "argv", [case.program, *argv])
                importlib.import_module(f"mindcv.programs.{case.program}").parse_options()
        except UserError as error:
            print(f"error: {error}", file=said)
        except SystemExit as ended:
            status = ended.code
    assert status in (None, 0), "a mistake must be a UserError"
    return printed.getvalue(), said.getvalue()


def check_lines(said: str) -> None:
    """Messages are short lines in plain words, safe for a terminal."""
    for line in said.splitlines():
        assert len(line) <= CHARACTERS
        assert line.isprintable()
        assert not [word for word in INNER_WORDS if word in line]
    assert said.count("error: ") <= 1 or len(said.splitlines()) == 1
    assert len(said.splitlines()) <= 2  # what a file of MindCV means here, and an error


def check_round_trip(case: Case, file: Path, argv: Sequence[str], options: dict[str, Any]) -> None:
    """Check that the output of --print_config loads to equal options."""
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(io.StringIO()), pytest.raises(SystemExit):
        load_config([*argv, "--print_config"], case.stored)
    file.write_text(printed.getvalue(), encoding="utf-8")
    assert load_config(["-c", str(file)]).options() == options


def check_case(case: Case, file: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Check a case, and return whether it is a valid configuration."""
    start = perf_counter()
    printed, said = outcome(case, file, monkeypatch)
    seconds = perf_counter() - start
    assert seconds < SECONDS
    check_lines(said)
    if case.program is not None or printed or "error: " in said:
        return False
    argv = [argument.replace("FILE", str(file)) for argument in case.argv]
    with redirect_stderr(io.StringIO()):
        options = load_config(argv, case.stored).options()
    check_round_trip(case, file, argv, options)
    return True


def check_cases(seed: int, count: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Check the cases of a seed, and return how many are valid configurations."""
    print(f"seed {seed}")
    monkeypatch.chdir(folder)
    valid = 0
    for number in range(count):
        case = fuzzed_case(seed, number)
        try:
            valid += check_case(case, folder / "recipe.yaml", monkeypatch)
        except BaseException as error:
            pytest.fail(f"fuzzed_case({seed}, {number}): {type(error).__name__}: {error}\n{case!r:.2000}")
    return valid


def test_500_fuzzed_files_and_command_lines_are_answered_in_plain_words(tmp_path, monkeypatch):
    assert check_cases(0, 500, tmp_path, monkeypatch) > 25


@pytest.mark.slow
def test_20000_fuzzed_files_and_command_lines_are_answered_in_plain_words(tmp_path, monkeypatch):
    seed = random.SystemRandom().randrange(2**32)
    assert check_cases(seed, 20_000, tmp_path, monkeypatch) > 1000
