"""Input that crashed an earlier version, found by attacking it: each is answered in one line."""

import os
import subprocess
import sys

import pytest

from mindcv.config import load_config
from mindcv.errors import UserError
from tests.support.paths import ROOT


def run(*arguments: str, **variables: str) -> tuple[int, str]:
    """Exit status and standard error of train.py."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


def test_every_seed_up_to_32_bits_is_accepted():
    assert load_config(["--seed", "4294967295"]).system.seed == 2**32 - 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a" * 300, "cannot be read (File name too long): give a readable YAML file after -c"),
        ("a\0b", "is not the name of a file: give a YAML file after -c"),
        ("\ud800", "is not the name of a file: give a YAML file after -c"),
        (
            "mnasnet0.75_digit_cpu.yaml",
            "no such file: check the path after -c; did you mean 'mnasnet0.75_digits_cpu.yaml'?",
        ),
    ],
)
def test_a_name_that_no_file_has_is_explained(path, reason, message):
    assert message("-c", path).endswith(f": {reason}")


def test_control_characters_reach_no_terminal(message):
    assert message("--label_smoothing", "\x1b[31m") == (
        "command line: label_smoothing=\\x1b[31m does not fit: give a number"
    )
    assert str(UserError("a\udcffb\tc\nd")) == "a\\udcffb\\tc d"


def test_environment_variables_are_not_options(monkeypatch):
    monkeypatch.setenv("JSONARGPARSE_DEFAULT_ENV", "true")
    for name in ("LR", "TRAIN_LR", "PYTEST_LR", "__MAIN___LR"):
        monkeypatch.setenv(name, "6")
    assert load_config([]).schedule.lr == 0.001


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "x"}, "OMPI_COMM_WORLD_SIZE=x is not an integer of 0 or more"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "OMPI_COMM_WORLD_RANK=missing is not an integer of 0 or more"),
        ({"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "x"}, "MS_WORKER_NUM=x is not an integer of 0 or more"),
        (
            {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "7"},
            "OMPI_COMM_WORLD_RANK=7 is not below OMPI_COMM_WORLD_SIZE=2",
        ),
    ],
)
def test_damaged_variables_of_a_launcher_are_named(variables, reason):
    remedy = "start the program by mpirun or msrun, or remove the launcher's variables from the environment"
    assert run(**variables) == (2, f"error: {reason}: {remedy}\n")
