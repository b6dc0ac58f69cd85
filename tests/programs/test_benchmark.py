"""The results table: its arithmetic and columns, and benchmark.py as a process."""

import csv
import json
import os
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from mindcv import build
from mindcv.config.benchmark_recipe import benchmark_config
from mindcv.engine.step_timing import StepTimes, time_steps
from mindcv.errors import UserError
from mindcv.report.benchmark_table import (
    Environment,
    Measurement,
    ModelResult,
    describe_machine,
    write_results,
)

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ENVIRONMENT = Environment(
    device="CPU",
    batch_size=32,
    image_size=224,
    precision="float32",
    images=1_281_167,
    repeats=7,
    machine="AMD EPYC, Größe 2",
    cores=2,
    mindspore="2.10.0",
    python="3.11.7",
    date="2026-01-31",
)
GRAPH = Measurement(
    train_seconds=4.0, infer_seconds_1=0.05, infer_seconds_batch=1.25, first_step_seconds=30.0
)
RESULTS = [
    ModelResult(model="mnasnet_075", parameters=3_170_208, macs=215_490_000, modes={"graph": GRAPH}),
    ModelResult(model="mnasnet_100", parameters=4_383_312, macs=314_420_000, modes={"pynative": GRAPH}),
]


def test_the_figures_follow_from_the_times():
    assert RESULTS[0].figures(ENVIRONMENT) == {
        "model": "mnasnet_075",
        "parameters": 3_170_208,
        "macs": 215_490_000,
        "train_images_per_second_graph": 8.0,
        "train_images_per_second_pynative": None,
        "seconds_per_epoch_graph": 1_281_167 / 8,
        "seconds_per_epoch_pynative": None,
        "infer_ms_1_graph": 50.0,
        "infer_ms_1_pynative": None,
        "infer_ms_batch_graph": 1250.0,
        "infer_ms_batch_pynative": None,
    }


def test_the_markdown_table_names_everything_and_says_what_is_not_measured(tmp_path):
    write_results(tmp_path, RESULTS, ENVIRONMENT)
    said, empty, head, rule, first, second = (tmp_path / "results.md").read_text("utf-8").splitlines()
    assert said == (
        "One CPU, AMD EPYC, Größe 2 (2 cores), 224 px, batch 32, float32, MindSpore 2.10.0, Python 3.11.7, "
        "2026-01-31; medians of 7. Training on synthetic images that are in memory; the time of an epoch of "
        "1,281,167 images follows from images/s."
    )
    assert empty == ""
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        "model",
        "parameters (M)",
        "MACs (M)",
        "train images/s, graph",
        "train images/s, PyNative",
        "s/epoch, graph",
        "s/epoch, PyNative",
        "inference ms, batch 1, graph",
        "inference ms, batch 1, PyNative",
        "inference ms, batch 32, graph",
        "inference ms, batch 32, PyNative",
    ]
    assert rule.count("---") == 11
    none = "not measured"
    figures = (("8.0", none), ("160,146", none), ("50.0", none), ("1250", none))
    cells = [cell for pair in figures for cell in pair]
    assert first == f"| `mnasnet_075` | 3.17 | 215.5 | {' | '.join(cells)} |"
    cells = [cell for pair in figures for cell in reversed(pair)]
    assert second == f"| `mnasnet_100` | 4.38 | 314.4 | {' | '.join(cells)} |"


def test_csv_and_json_read_back_with_their_environment(tmp_path):
    paths = write_results(tmp_path / "new" / "folder", RESULTS, ENVIRONMENT)
    assert [path.name for path in paths] == ["results.md", "results.csv", "results.json"]
    expected = [result.figures(ENVIRONMENT) for result in RESULTS]
    record = json.loads(paths[2].read_text("utf-8"))
    assert record["results"] == expected
    assert Environment(**record["environment"]) == ENVIRONMENT
    with paths[1].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, figures in zip(rows, expected, strict=True):
        assert row["machine"] == ENVIRONMENT.machine
        for name, value in figures.items():
            assert row[name] == ("" if value is None else str(value))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: results cannot be written \(File exists\): choose another"):
        write_results(tmp_path / "file", RESULTS, ENVIRONMENT)


def test_the_first_two_steps_are_not_among_the_measured_ones():
    calls = []

    def step(number: int) -> Tensor:
        calls.append(number)
        return Tensor(np.zeros(1))

    times = time_steps(step, ((number,) for number in range(100)), 3)
    assert calls == [0, 1, 2, 3, 4]
    assert len(times.others) == 3
    assert StepTimes(first=9.0, others=(3.0, 1.0, 2.0)).typical == 2.0


def test_what_is_timed_is_the_recipes_step():
    recipe = build.load_stored_config(["-c", str(ROOT / "configs/mnasnet/mnasnet1.0_gpu.yaml")])[0]
    config = benchmark_config()
    for section in ("optimizer", "gradient", "loss", "ema", "teacher"):
        assert getattr(config, section) == getattr(recipe, section), section
    assert config.precision.loss_scale == recipe.precision.loss_scale
    assert config.precision.drop_overflow_update == recipe.precision.drop_overflow_update


@pytest.mark.slow
def test_a_process_measures_both_modes_and_writes_the_table(tmp_path):
    options = ("--models", "mnasnet_050", "--image_size=32", "--batch_size=4", "--repeats=1", "--images=100")
    command = [sys.executable, "-m", "tools.benchmark", *options, "--output", "table"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 2
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {f"table/results.{suffix}" for suffix in ("md", "csv", "json")}
    assert (tmp_path / "table/results.md").read_text("utf-8") in done.stdout
    record = json.loads((tmp_path / "table/results.json").read_text("utf-8"))
    (row,) = record["results"]
    assert (row["model"], row["parameters"]) == ("mnasnet_050", 2_218_512)
    for mode in ("graph", "pynative"):
        rate, seconds = row[f"train_images_per_second_{mode}"], row[f"seconds_per_epoch_{mode}"]
        assert rate * seconds == pytest.approx(100)
        assert 0 < row[f"infer_ms_1_{mode}"] < 10_000
        assert 0 < row[f"infer_ms_batch_{mode}"] < 10_000
    facts = record["environment"]
    assert {name: facts[name] for name in describe_machine()} == describe_machine()
    assert facts["mindspore"] == version("mindspore")
    assert abs(date.fromisoformat(facts["date"]) - date.today()).days <= 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--models", "mnasnet_05"], "error: unknown model 'mnasnet_05'; did you mean"),
        (["--image_size", "4"], "error: image_resize=4 is out of range: give 8 to 2048 pixels"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(tmp_path, options, expected):
    command = [sys.executable, "-m", "tools.benchmark", *options]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith(expected)
    assert list(tmp_path.iterdir()) == []
