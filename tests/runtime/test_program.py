"""How a program ends, and what it says then."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mindcv.runtime.program import run_program
from mindcv.runtime.session import start
from tests.support.paths import ROOT
from tests.support.processes import OPEN_MPI, bare_environment, python


def ending(main, capsys) -> tuple[object, str]:
    """Status of a program, and what it says on standard error."""
    with pytest.raises(SystemExit) as caught:
        run_program(main)
    captured = capsys.readouterr()
    assert captured.out == ""
    return caught.value.code, captured.err


def test_a_program_that_succeeds_says_nothing(capsys):
    assert ending(lambda: None, capsys) == (0, "")


def test_a_users_mistake_is_one_line_and_status_2(capsys):
    status, said = ending(lambda: start(device_target="cpu"), capsys)
    assert status == 2
    assert said == (
        "error: device_target='cpu' is unknown: give one of auto, CPU, GPU, Ascend; did you mean 'CPU'?\n"
    )


def test_a_bug_keeps_its_traceback_and_is_status_1(capsys):
    status, said = ending(lambda: [][1], capsys)
    assert status == 1
    assert said.startswith("Traceback (most recent call last):\n")
    assert said.rstrip().endswith("IndexError: list index out of range")


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (errno.EACCES, "img/train", "img/train: Permission denied: check its permissions"),
        (errno.EACCES, b"img/\xff", "img/\\udcff: Permission denied: check its permissions"),
        (errno.ENOSPC, None, "No space left on device: free some space"),
        (errno.ENOSPC, "a\x1b[31m\nb", "a\\x1b[31m b: No space left on device: free some space"),
        (errno.EMFILE, None, "Too many open files: raise the limit on open files (ulimit -n)"),
        (errno.EROFS, "out", "out: Read-only file system: choose another folder"),
    ],
)
def test_an_error_of_the_system_names_the_file_and_a_remedy(number, name, said, capsys):
    def fail() -> None:
        raise OSError(number, os.strerror(number), name)

    assert ending(fail, capsys) == (2, f"error: {said}\n")


def test_an_error_whose_causes_form_a_circle_ends_the_program(capsys):
    def fail() -> None:
        first, second = MemoryError("first"), MemoryError("second")
        first.__context__, second.__context__ = second, first
        raise first

    status, said = ending(fail, capsys)
    assert status == 1
    assert said.rstrip().endswith("MemoryError: first")


def test_a_working_folder_that_has_been_deleted_is_reported(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    command = f"rmdir '{folder}' && '{sys.executable}' -m mindcv summary mnasnet_100"
    ran = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=bare_environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert ran.stderr.endswith("error: the working folder has been deleted: change to another one with cd\n")


def test_a_missing_file_that_nobody_expected_is_a_bug(capsys):
    status, said = ending(lambda: Path("nowhere").stat(), capsys)
    assert status == 1
    assert said.startswith("Traceback (most recent call last):\n")


@pytest.mark.parametrize("arguments", [("pack", "a" * 300, "out"), ("add-checksum", "a" * 300 + ".ckpt")])
def test_a_name_that_no_file_can_have_is_one_line(arguments):
    command = [sys.executable, "-m", "mindcv", *arguments]
    ran = subprocess.run(command, cwd=ROOT, env=bare_environment(), capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: a")
    assert ran.stderr.count("\n") == 1
    assert "File name too long" in ran.stderr


def test_a_package_of_the_requirements_that_is_missing_is_named_with_the_remedy(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mindspore", None)  # as in a Python that has none
    assert ending(lambda: __import__("mindspore"), capsys) == (
        2,
        "error: the package 'mindspore' is missing in this Python: activate the environment "
        "(source .venv/bin/activate), or pip install -r requirements.txt\n",
    )


def test_a_module_of_ours_that_is_missing_is_a_bug(capsys):
    status, said = ending(lambda: __import__("mindcv.nowhere"), capsys)
    assert (status, said.splitlines()[-1]) == (1, "ModuleNotFoundError: No module named 'mindcv.nowhere'")


def test_another_rank_lets_the_first_one_speak_and_then_says_who_it_is():
    ran = python(
        "from time import time; from mindcv.runtime.program import run_program; print(time(), flush=True)\n"
        "def main():\n    print('seen')\n    raise RuntimeError('out of paper')\n"
        "run_program(main)",
        **OPEN_MPI,
    )
    assert (ran.returncode, ran.stdout.split()[1:]) == (1, ["seen"])
    assert ran.stderr.startswith("rank 1: Traceback (most recent call last):\n")
    assert ran.stderr.rstrip().endswith("RuntimeError: out of paper")


COMPILE_A_GRAPH = "import mindspore as ms; ms.set_context(mode=0); ms.nn.ReLU()(ms.Tensor([1.0])).asnumpy()"


@pytest.mark.parametrize("before", ["pass", COMPILE_A_GRAPH], ids=["at once", "after a graph was compiled"])
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_kill_ends_a_program_with_one_line_and_status_130(stop, before):
    script = (
        "import time; from mindcv.runtime.program import run_program\n"
        f"def main():\n    {before}\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "run_program(main)"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=bare_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(stop)
        _, said = program.communicate(timeout=30)
    assert (program.returncode, said) == (130, "stopped by Ctrl-C or kill\n")


PRINTS = (
    "import sys; from mindcv.runtime.program import run_program; "
    "run_program(lambda: [print('x' * 80) for _ in range(10000)])"
)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", PRINTS],
        ["train.py", "--print_config"],
        ["-m", "mindcv", "--help"],
        ["-m", "mindcv", "--version"],
        pytest.param(["-m", "mindcv", "summary", "--list"], marks=pytest.mark.slow),
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_a_reader_that_ends_early_ends_a_program_without_a_word(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as output:
        ran = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, stdout=output, stderr=subprocess.PIPE, timeout=60
        )
    assert (ran.returncode, ran.stderr) == (141, b"")


def test_a_program_without_standard_output_ends_without_a_word():
    command = f"exec {sys.executable} -m mindcv --version >&-"
    ran = subprocess.run(command, shell=True, cwd=ROOT, stderr=subprocess.PIPE, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, b"")
