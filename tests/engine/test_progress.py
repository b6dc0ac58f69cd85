"""The progress of a run: a bar in a terminal, lines elsewhere, and JSON lines in its folder."""

import io
import json
import re
import resource
import signal
import sys

import mindspore as ms
import pytest
from test_trainer import NOBODY, RATES, STEPS, Batches, network, step_of

from mindcv.engine import RunCallback, RunPosition, RunState
from mindcv.engine.callbacks import MetricsLog, Opening, Progress
from mindcv.engine.callbacks.progress import seconds_left
from mindcv.runtime import progress
from mindcv.runtime.progress import clock_time, track
from tests.support.training import usual_trainer

MEASURED = r"loss \d\.\d{4}  lr \S+  \d+ images/s  \d+% waiting for data  0:00:0\d left"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def train(*callbacks: ms.Callback, epochs: int = 2, log_interval: int = 2, **options) -> None:
    usual_trainer(
        step_of(network()),
        Batches(),
        epochs,
        learning_rates=RATES,
        callbacks=callbacks,
        log_interval=log_interval,
        **options,
    ).fit()


def test_without_a_terminal_there_is_a_line_per_interval(capsys):
    train(Progress())
    line = (
        r"epoch \d/2  step \d/5  loss \d\.\d{4}  lr \S+  \d+ images/s  \d+% waiting for data  0:00:0\d left"
    )
    lines = capsys.readouterr().out.splitlines()
    assert [re.fullmatch(line, text) is not None for text in lines] == [True] * 4, lines
    # The fifth step ends the epoch, whose result is a line of its own.
    assert [text.split("  ")[:2] for text in lines] == [
        [f"epoch {epoch}/2", f"step {step}/5"] for epoch in (1, 2) for step in (2, 4)
    ]


def test_a_graph_that_is_compiled_is_announced_once(capsys):
    ms.set_context(mode=ms.GRAPH_MODE)
    train(Progress())
    lines = capsys.readouterr().out.splitlines()
    assert [text for text in lines if "compiling" in text] == ["compiling the graph ..."] == lines[:1]
    first = r"first step done in \d+\.\d s, \d+\.\d s after the start of the program"
    assert [re.fullmatch(first, text) is not None for text in lines[1:]] == [True, *[False] * 4]


def test_in_a_terminal_a_bar_shows_loss_rate_speed_and_time_left(monkeypatch, capsys):
    ms.set_context(mode=ms.GRAPH_MODE)
    monkeypatch.setattr(sys, "stderr", Terminal())
    train(Progress(), log_interval=1)
    drawn = sys.stderr.getvalue()
    assert "epoch 1/2, compiling the graph:" in drawn
    assert "epoch 2/2:" in drawn
    assert "epoch 2/2, compiling" not in drawn
    assert re.search(MEASURED, drawn)
    assert capsys.readouterr().out == ""


def test_time_left_counts_batches_and_validations():
    seen = []

    class Log(RunCallback):
        def on_interval(self, run: RunState) -> None:
            seen.append((run, seconds_left(run), run.batches, len(run.results)))

    train(Log(), validate=lambda: NOBODY)
    per_validation = [result.val_seconds for result in seen[0][0].results]
    assert len(seen) == 6
    _, left, batches, results = seen[-2]  # the fourth of five steps of the last epoch
    assert (batches, results) == (2 * STEPS - 1, 1)
    assert 0 < left < 60
    assert left >= per_validation[0]


def test_the_share_of_waiting_is_the_time_until_a_batch_comes():
    shares = []

    class Log(RunCallback):
        def on_interval(self, run: RunState) -> None:
            shares.append(run.interval.waiting)

        def on_train_step_begin(self, run_context) -> None:
            run_context.original_args().run._waited += 1e6  # as if a batch had taken long

    train(Log())
    assert shares == [1.0] * 6


def test_metrics_are_appended_also_by_a_resumed_run_in_place_of_a_cut_line(tmp_path):
    def events() -> list[dict]:
        text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    train(MetricsLog(tmp_path), validate=lambda: NOBODY, val_interval=2)
    first = events()
    assert [(e["event"], e["epoch"], e["step"]) for e in first] == [
        *(("interval", 1, 2), ("interval", 1, 4), ("interval", 1, 5), ("epoch", 1, 5)),
        *(("interval", 2, 7), ("interval", 2, 9), ("interval", 2, 10), ("epoch", 2, 10)),
    ]
    assert [e["validation"] for e in first if e["event"] == "epoch"] == [
        None,
        {"images": 2, "top1": 0.5, "top5": 1.0, "loss": 0.5},
    ]
    assert all(0 <= e["waiting"] <= 1 for e in first if e["event"] == "interval")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"event": "epo')  # a killed run
    train(MetricsLog(tmp_path), epochs=3, start=RunPosition(epoch=2, steps_per_epoch=STEPS))
    assert events()[: len(first)] == first
    assert events()[len(first)] == {"event": "restart", "epoch": 2, "batch": 0, "step": 10}
    assert [e["epoch"] for e in events()[len(first) + 1 :]] == [3, 3, 3, 3]


@pytest.mark.parametrize("length", [1, 4095, 4096, 4097, 10_000])
@pytest.mark.parametrize("before", ["", "a line\n"])
def test_a_cut_line_of_any_length_makes_room_for_the_next(tmp_path, before, length):
    path = tmp_path / "metrics.jsonl"
    path.write_text(before + "x" * length, encoding="utf-8")
    train(MetricsLog(tmp_path), epochs=1)
    first, *lines = path.read_text(encoding="utf-8").removeprefix(before).splitlines()
    assert json.loads(first)["step"] == 2
    assert [json.loads(line)["event"] for line in lines] == ["interval", "interval", "epoch"]


def test_a_disk_that_becomes_full_leaves_no_half_line_of_metrics(tmp_path, caplog):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails instead
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        train(MetricsLog(tmp_path), epochs=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    steps = [json.loads(line)["step"] for line in text.splitlines()]
    assert steps[:4] == [2, 4, 5, 5]
    assert len(steps) < 12
    assert text.endswith("}\n")
    warnings = {record.getMessage() for record in caplog.records if "metrics" in record.getMessage()}
    assert warnings == {
        f"{tmp_path}/metrics.jsonl cannot be written (File too large): training continues without it"
    }


def test_metrics_that_cannot_be_written_are_one_warning(tmp_path, caplog):
    train(MetricsLog(tmp_path / "missing"))
    assert [record.getMessage() for record in caplog.records if "metrics" in record.getMessage()] == [
        f"{tmp_path}/missing/metrics.jsonl cannot be written (No such file or directory): "
        "training continues without it"
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (360000, "100:00:00")]
)
def test_times_are_hours_minutes_and_seconds(seconds, text):
    assert clock_time(seconds) == text


def test_a_long_loop_without_a_terminal_prints_a_line_now_and_then(monkeypatch, capsys):
    assert list(track(range(3), 3, "validation")) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "SECONDS_PER_LINE", 0)
    assert list(track(range(3), 3, "validation")) == [0, 1, 2]
    lines = ["validation  batch 1/3  0:00:00 left", "validation  batch 2/3  0:00:00 left"]
    assert capsys.readouterr().err.splitlines() == lines
    assert list(track(range(3), 3, "validation", speaks=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_a_long_loop_in_a_terminal_has_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(track(range(3), 3, "validation")) == [0, 1, 2]
    assert "validation:   0%" in sys.stderr.getvalue()


def test_a_run_begins_with_its_lines(capsys):
    train(Opening(["device   CPU", "output   a\x1bb"]), epochs=1)
    assert capsys.readouterr().out.splitlines() == ["device   CPU", "output   a\\x1bb"]
