"""The comparison with other libraries: its table, and the processes that it measures."""

import json
import sys

import pytest

from mindcv.errors import UserError
from mindcv.programs.compare import Contestant
from mindcv.report.comparison_table import Comparison, Job, describe_environment, write_comparison

SMALL = Job(task="train", model="mnasnet_small", size=32, batch=2)


def test_the_table_gives_rates_and_how_many_times_as_fast_graph_mode_is(tmp_path):
    seconds = {"graph": 0.5, "pynative": 0.625, "torch": 1.0}
    results = [Comparison(line=str(SMALL), batch=2, rounds=7, seconds=seconds)]
    paths = write_comparison(tmp_path / "new", results, "2 cores")
    assert paths[0].read_text().splitlines() == [
        "2 cores. Medians; in brackets, how many times as fast graph mode is.",
        "",
        "| images/s | graph | PyNative | ONNX Runtime | PyTorch, NCHW | PyTorch, channels-last | MindCV "
        "| rounds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| train, `mnasnet_small`, 32 px, batch 2 | 4.0 | 3.2 (1.25x) |  | 2.0 (2.00x) | not measured | not "
        "measured | 7 |",
    ]
    assert json.loads(paths[1].read_text())["results"][0]["seconds"] == seconds


def test_a_table_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: results cannot be written \(.*\): choose another folder"):
        write_comparison(tmp_path / "file", [], "2 cores")


def test_the_environment_names_cores_versions_and_date():
    text = describe_environment("2026-12-01", None)
    assert " cores of " in text
    assert "mindspore 2." in text
    assert text.endswith("; 2026-12-01")


def test_a_contestant_that_fails_is_named():
    with pytest.raises(UserError, match="mindcv ended before it was measured: leave it out"):
        Contestant("mindcv", SMALL, "/bin/false")


def test_an_interpreter_that_is_missing_is_named():
    expected = r"^--mindcv no/python: No such file or directory: name an interpreter$"
    with pytest.raises(UserError, match=expected):
        Contestant("mindcv", SMALL, "no/python")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["train", "infer"])
@pytest.mark.parametrize("name", ["graph", "pynative", "onnx", "torch", "torch_channels_last"])
def test_a_contestant_is_measured(name, task):
    if (name, task) == ("onnx", "train"):
        pytest.skip("ONNX Runtime does not train")
    contestant = Contestant(name, Job(task=task, model="mnasnet_small", size=32, batch=2), sys.executable)
    try:
        contestant.measure()
        contestant.measure()
    finally:
        contestant.close()
    assert len(contestant.seconds) == 2
    assert all(0 < seconds < 60 for seconds in contestant.seconds)
