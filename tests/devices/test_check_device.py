"""`mindcv check-device` passes on a CPU, fails on a wrong number, and writes a report that says which."""

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest

from mindcv.device_check import CHECKS, Setting, network_checks, run_checks, setting
from mindcv.device_check.finding import compare, same
from mindcv.programs.check_device import NAMES, main
from mindcv.runtime.session import Runtime
from tests.devices.make_reference import reference
from tests.support.programs import ROOT, run


def no_trainer() -> Any:
    raise AssertionError("only the last check trains")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Setting]:
    """A function that returns this CPU with the stored numbers, some of them changed."""

    def changed(**numbers: Any) -> Setting:
        loaded = Setting.load(Runtime(device="CPU"), tmp_path, no_trainer)
        return Setting(
            runtime=loaded.runtime,
            reference={**loaded.reference, **numbers},
            folder=tmp_path,
            create_trainer=no_trainer,
        )

    return changed


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """A function that runs the program in this process, and returns its status."""
    monkeypatch.setattr(logging.getLogger("mindcv"), "handlers", [])
    on_sigterm = signal.getsignal(signal.SIGTERM)

    def run_inside(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["check-device", "--output", str(tmp_path / "out"), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    yield run_inside
    signal.signal(signal.SIGTERM, on_sigterm)
    ms.set_context(mode=ms.PYNATIVE_MODE)


def test_the_stored_numbers_are_those_that_a_cpu_computes():
    stored = json.loads(setting.REFERENCE.read_text(encoding="utf-8"))
    computed = reference()
    assert stored.keys() == computed.keys()
    assert stored["dropout"] == computed["dropout"]
    for name in ("logits", "loss", "gradient_norms", "evaluation_loss"):
        np.testing.assert_allclose(stored[name], computed[name], rtol=1e-4, atol=1e-6)
    assert stored["optimizers"].keys() == computed["optimizers"].keys()
    for name, values in stored["optimizers"].items():
        np.testing.assert_allclose(values, computed["optimizers"][name], rtol=1e-12)


def test_every_check_can_be_chosen():
    assert list(CHECKS) == list(NAMES)


def test_a_cpu_passes_and_its_report_says_so(program, capsys, tmp_path):
    names = ("dropout", "optimizers", "collectives", "forward", "backward", "evaluation", "loss_scale")
    assert program("--device_target", "CPU", "--modes", "pynative", "--checks", *names) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" (")[0] for line in lines[:-1]] == [
        f"{name}, pynative: {'does not apply' if name == 'collectives' else 'passed'}" for name in names
    ]
    assert lines[-1] == f"all 7 checks passed: {tmp_path / 'out' / 'report.md'}"
    record = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert record["environment"]["device"] == "CPU"
    assert record["environment"]["mindspore"] == ms.__version__
    assert all(check["passed"] for check in record["checks"])
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert report.startswith("# Check of a device\n\nAll 7 checks passed.\n")
    assert "| optimizers | pynative | rmsprop | " in report


def test_a_wrong_number_makes_the_program_fail(program, monkeypatch, capsys, tmp_path):
    numbers = json.loads(setting.REFERENCE.read_text(encoding="utf-8"))
    numbers["logits"][3][9] += 0.1
    numbers["optimizers"]["rmsprop"][0] *= 1.001  # the element with the smallest gradient
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(numbers), encoding="utf-8")
    monkeypatch.setattr(setting, "REFERENCE", broken)
    assert program("--modes", "pynative", "--checks", "forward", "optimizers", "dropout") == 1
    path = tmp_path / "out" / "report.md"
    assert capsys.readouterr().err == (
        f"error: 2 of 3 checks failed: optimizers (pynative), forward (pynative): see {path}, and send it\n"
    )
    failed = [line for line in path.read_text(encoding="utf-8").splitlines() if "FAILED" in line]
    assert [line.split(" | ")[2] for line in failed] == ["rmsprop", "logits"]
    record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert [check["passed"] for check in record["checks"]] == [True, False, False]


@pytest.mark.parametrize(
    ("check", "numbers"),
    [
        ("dropout", {"dropout": {"0": "0" * 16, "1": "0" * 16, str(2**30): "0" * 16}}),
        ("backward", {"loss": 2.6}),
        ("backward", {"gradient_norms": [1.0] * 58}),
        ("evaluation", {"evaluation_loss": 1.0}),
        ("mixed_precision", {"logits": [[1.0] * 10] * 4}),
    ],
)
def test_each_stored_number_can_fail_its_check(load, check, numbers):
    (result,) = run_checks(load(**numbers), [check], ["pynative"])
    assert not result.passed
    assert result.error == ""


def test_an_exception_fails_its_check_alone_and_is_reported(load):
    lacking = load(logits=[[1.0]])
    forward, loss_scale = run_checks(lacking, ["forward", "loss_scale"], ["pynative"])
    assert not forward.passed
    assert forward.error.splitlines()[-1] == "ValueError: logits: shape (4, 10) instead of (1, 1)"
    assert loss_scale.passed


def test_nan_and_a_difference_above_the_tolerance_fail():
    assert compare("x", [1.0, 2.0], [1.0, 2.01], 0.01).passed
    assert not compare("x", [1.0, 2.0], [1.0, 2.03], 0.01).passed
    assert not compare("x", [1.0, 2.0], [1.0, np.nan], 0.01).passed
    assert not compare("x", [1e-6, 2.0], [2e-6, 2.0], 0.01, elementwise=True).passed
    assert compare("x", [1e-6, 2.0], [2e-6, 2.0], 0.01).passed
    assert same("x", [1], [1]).passed
    assert not same("x", [1], [2]).passed


def test_a_padded_image_and_a_label_that_ranks_last_are_not_counted(load):
    _, counts = network_checks.scored(load(), load().reference["logits"])
    assert counts == [1, 2]


def test_an_unknown_check_is_refused_in_one_line(program, capsys):
    assert program("--checks", "speed") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "speed" in line


@pytest.mark.slow
def test_all_checks_pass_on_a_cpu_in_both_modes(tmp_path):
    done = run(
        "-m", "mindcv", "check-device", "--output", tmp_path / "out", cwd=tmp_path, PYTHONPATH=str(ROOT)
    )
    assert done.status == 0, done.errors
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| digits | graph | top-1 accuracy after 4 epochs | at least 0.9 | " in report
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
