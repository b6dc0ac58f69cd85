"""The table and the curve of a training run."""

import csv
from pathlib import Path

import pytest
from mindspore import Tensor
from PIL import Image

from mindcv.engine import CheckpointManager, EpochResult, Evaluation, RunPosition
from mindcv.engine.epoch_result import best_result
from mindcv.engine.history import draw_curve, summarize_run, write_table

HEADER = [
    "epoch",
    "step",
    "lr",
    "train_loss",
    "val_loss",
    "top1",
    "top5",
    "ema_val_loss",
    "ema_top1",
    "ema_top5",
    "train_seconds",
    "val_seconds",
    "images_per_second",
    "overflows",
]


def result(
    epoch: int, top1: int | None = None, ema_top1: int | None = None, overflows: int = 0
) -> EpochResult:
    def scored(top1: int | None) -> Evaluation | None:
        return None if top1 is None else Evaluation(images=360, top1=top1, top5=355, loss_sum=450.0)

    return EpochResult(
        epoch=epoch,
        step=22 * epoch,
        lr=0.05 / 3**epoch,
        train_loss=2.0 / 3,
        train_seconds=12.345,
        images_per_second=114.16,
        validation=scored(top1),
        ema_validation=scored(ema_top1),
        val_seconds=1.5 if top1 is not None else 0.0,
        overflows=overflows,
    )


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def cells(row: str) -> list[str]:
    return ["" if cell == "-" else cell for cell in row.split()]


def test_the_table_has_one_row_per_epoch_and_is_complete_after_each(tmp_path):
    results, table = [result(1, top1=354)], tmp_path / "history.csv"
    write_table(results, table)
    first = "1 22 0.016666667 0.666667 1.250000 0.983333 0.986111 - - - 12.35 1.50 114.2 0"
    assert rows(table) == [HEADER, cells(first)]
    results.append(result(2))
    write_table(results, table)
    second = "2 44 0.0055555556 0.666667 - - - - - - 12.35 - 114.2 0"
    assert rows(table) == [HEADER, cells(first), cells(second)]
    results.append(result(3, top1=0, ema_top1=36, overflows=2))
    write_table(results, table)
    third = "3 66 0.0018518519 0.666667 1.250000 0.000000 0.986111 1.250000 0.100000 0.986111"
    third += " 12.35 1.50 114.2 2"
    assert rows(table) == [HEADER, *map(cells, (first, second, third))]


def test_a_small_learning_rate_keeps_its_digits(tmp_path):
    small = EpochResult(epoch=1, step=1, lr=1e-10, train_loss=1, train_seconds=1, images_per_second=1)
    write_table([small], tmp_path / "history.csv")
    assert rows(tmp_path / "history.csv")[1][2] == "1e-10"


@pytest.mark.parametrize("scores", [[None], [None, None], [350], [None, 340, None, 354]])
def test_the_curve_is_a_png_that_changes_with_each_epoch(tmp_path, scores):
    results, drawn = [], set()
    for epoch, score in enumerate(scores, 1):
        results.append(result(epoch, score))
        draw_curve(results, tmp_path / "curve.png")
        content = (tmp_path / "curve.png").read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        drawn.add(content)
    assert len(drawn) == len(scores)
    with Image.open(tmp_path / "curve.png") as image:
        image.load()
        assert image.size == (900, 360)
        assert image.getextrema()[0] == (0, 255)  # something is drawn on white
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([], None),
        ([None, None], None),
        ([0], 1),
        ([340, 354, 350], 2),
        ([None, 340, 340], 2),
        ([350, None], 1),
    ],
)
def test_the_best_epoch_is_the_first_with_the_highest_top_1(scores, best):
    found = best_result([result(epoch, score) for epoch, score in enumerate(scores, 1)])
    assert (found and found.epoch) == best


def test_the_ema_model_decides_which_epoch_is_best_and_is_named(tmp_path):
    results = [result(1, 300, 340), result(2, 359, 320)]
    assert [r.score for r in results] == [340 / 360, 320 / 360]
    summary = summarize_run(results, tmp_path)
    assert "best epoch 1: EMA, top-1 0.9444  top-5 0.9861  loss 1.2500\n" in summary
    assert str(result(3, 0, 36, overflows=2)) == (
        "loss 0.6667  lr 0.00185  114 images/s  2 overflows skipped"
        "  |  validation: top-1 0.0000  top-5 0.9861  loss 1.2500"
        "  |  EMA: top-1 0.1000  top-5 0.9861  loss 1.2500"
    )


def test_the_summary_names_time_best_epoch_and_files(tmp_path):
    assert summarize_run([result(1, 340), result(2, 354), result(3)], tmp_path) == (
        "3 epochs in 40 s\n"
        "best epoch 2: top-1 0.9833  top-5 0.9861  loss 1.2500\n"
        f"curve: {tmp_path}/curve.png   table: {tmp_path}/history.csv"
    )
    assert summarize_run([result(1), result(2)], tmp_path) == (
        f"2 epochs in 25 s\ncurve: {tmp_path}/curve.png   table: {tmp_path}/history.csv"
    )


def test_the_summary_says_where_the_best_file_is_not_that_of_the_best_epoch(tmp_path):
    manager = CheckpointManager(tmp_path, "net", {"w": Tensor([1.0])}, {})
    manager.after_epoch(RunPosition(epoch=1), 1, score=340 / 360, last=True)
    _, *lines = summarize_run([result(1, 340), result(2, 354)], tmp_path, manager.best_path).splitlines()
    told = f"{tmp_path}/net_best.ckpt is of epoch 1: the file of the best epoch was deleted"
    assert lines[0] == "best epoch 2: top-1 0.9833  top-5 0.9861  loss 1.2500"
    assert lines[2] == told
    assert told not in summarize_run([result(1, 340)], tmp_path, manager.best_path)
