"""Printing that fails costs nothing but what would have been printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mindcv.errors import one_line, printable
from tests.support.paths import ROOT
from tests.support.processes import bare_environment

FULL = "standard output cannot be written (No space left on device): nothing more is printed there\n"
CLOSED = "standard output cannot be written (Broken pipe): nothing more is printed there\n"
SCRIPT = """
import sys; from pathlib import Path
from mindcv.runtime.output import continue_without_output
from mindcv.runtime.program import run_program
def main():
    if sys.argv[2] != "needed": continue_without_output()
    print("x" * 100_000, flush=True)
    print("a warning", file=sys.stderr, flush=True)
    Path(sys.argv[1]).write_text("saved")
    print("the end")
run_program(main)
"""


def run(script: str, *arguments: object, stdout: int, stderr: int, **variables: str) -> tuple[int, bytes]:
    """Status and standard error of a script, whose standard output and error are these."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env=bare_environment() | variables,
        stdout=stdout,
        stderr=stderr,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.fixture
def full():
    with Path("/dev/full").open("w") as file:
        yield file.fileno()


@pytest.fixture
def closed():
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize(
    ("where", "needed", "status", "said"),
    [
        ("full", "needed", 1, FULL),
        ("full", "not needed", 1, FULL + "a warning\n"),
        ("closed", "needed", 141, ""),
        ("closed", "not needed", 141, CLOSED + "a warning\n"),
    ],
)
def test_a_program_ends_where_it_cannot_print_and_a_training_run_goes_on(
    where, needed, status, said, request, tmp_path
):
    file = tmp_path / "saved"
    stdout = request.getfixturevalue(where)
    assert run(SCRIPT, file, needed, stdout=stdout, stderr=subprocess.PIPE) == (status, said.encode())
    assert file.exists() == (needed == "not needed")


def test_nothing_is_lost_where_warnings_cannot_be_printed(closed, tmp_path):
    file = tmp_path / "saved"
    status, _ = run(SCRIPT, file, "needed", stdout=subprocess.DEVNULL, stderr=closed)
    assert (status, file.read_text()) == (0, "saved")


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_the_help_of_the_command_says_that_it_cannot_be_printed(argument, full):
    script = "from mindcv.__main__ import main; main()"
    assert run(script, argument, stdout=full, stderr=subprocess.PIPE) == (1, FULL.encode())


@pytest.mark.parametrize("arguments", [["--help"], ["--print_config"]])
def test_the_help_of_a_program_says_that_it_cannot_be_printed(arguments, full):
    script = "from mindcv.programs.train import main; main()"
    assert run(script, *arguments, stdout=full, stderr=subprocess.PIPE) == (1, FULL.encode())


def test_a_terminal_without_unicode_gets_escapes_and_names_keep_their_bytes(tmp_path):
    with (tmp_path / "printed").open("wb") as file:
        script = "from mindcv.runtime.program import run_program; run_program(lambda: print('é 苹 \\udcff'))"
        coding = {"PYTHONIOENCODING": "ascii:strict"}
        assert run(script, stdout=file.fileno(), stderr=subprocess.PIPE, **coding) == (0, b"")
    assert (tmp_path / "printed").read_bytes() == b"\\xe9 \\u82f9 \xff\n"


def test_a_file_does_not_take_the_number_of_a_closed_output(tmp_path):
    script = (
        "import os; os.close(1); from mindcv.runtime.program import run_program\n"
        f"def main():\n    file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "    os.write(2, str(file.fileno() > 2).encode())\n"
        "run_program(main)"
    )
    assert run(script, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) == (0, b"True")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("höhe/图.jpg", "höhe/图.jpg"),
        ("a\x1b[31mb\x07", "a\\x1b[31mb\\x07"),
        ("a\nb\r\nc\u2028d\x85e", "a b c d e"),
        ("photo\u202egpj.exe\u2066", "photo\\u202egpj.exe\\u2066"),
        ("a\udcff\xa0\U000e0041", "a\\udcff\\xa0\\U000e0041"),
        ("\t\0", "\\t\\x00"),
        (f"{'a' * 470}", "a" * 470),
        (f"lr={'1' * 5000} does not fit", f"lr={'1' * 46}...{'1' * 48} does not fit"),
        ("x " * 400 + "y", f"{'x ' * 117}...{'x ' * 116}y"),
    ],
)
def test_a_message_is_one_line_that_is_safe_and_short(text, shown):
    assert one_line(text) == shown == one_line(shown)
    assert len(shown) <= 470


def test_a_huge_message_takes_no_time_and_keeps_both_ends():
    shown = one_line("file.yaml: " + "\x1b[31m\n" * 10_000_000 + " : fix it")
    assert len(shown) <= 470
    assert shown.startswith("file.yaml: \\x1b[31m ")
    assert shown.endswith(" : fix it")


def test_a_printable_text_is_not_changed():
    assert printable("a b/é图.jpg") == "a b/é图.jpg"
    assert printable("a\nb") == "a\\nb"
