"""The learning-rate range test: its mathematics in closed form, its loop on fakes, the tool as a process."""

import csv
import os
import re
import subprocess
import sys
from math import cos, exp, isclose, pi
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv import build
from mindcv.config import Config, ConfigError
from mindcv.engine.lr_finder import RangeTest, Suggestion, exponential_rates, run_range_test, smooth, suggest
from mindcv.errors import UserError
from mindcv.optim import create_optimizer
from mindcv.programs.find_learning_rate import parse_options, report
from mindcv.runtime.session import Runtime
from mindcv.step import NetworkWithLoss, TrainStep

ROOT = Path(__file__).parents[2]


def test_rates_rise_by_one_factor_from_the_lowest_to_the_highest():
    rates = exponential_rates(1e-6, 10.0, 15)
    np.testing.assert_allclose(rates, [10 ** (-6 + i / 2) for i in range(15)], rtol=1e-12)
    assert (rates[0], rates[-1]) == (1e-6, 10.0)


@pytest.mark.parametrize(
    ("lowest", "highest", "steps", "message"),
    [
        (
            0.0,
            1.0,
            20,
            "lowest_lr=0 and highest_lr=1 are not a range: give two numbers above 0, the lower one ",
        ),
        (
            1.0,
            0.1,
            20,
            "lowest_lr=1 and highest_lr=0.1 are not a range: give two numbers above 0, the lower ",
        ),
        (float("nan"), 0.1, 20, "lowest_lr=nan and highest_lr=0.1 are not a range: give two numbers above 0"),
        (0.1, float("inf"), 20, "lowest_lr=0.1 and highest_lr=inf are not a range: give two numbers above 0"),
        (0.1, 1.0, 9, "steps=9 are too few to see a trend: give 10 or more"),
    ],
)
def test_an_impossible_range_is_refused(lowest, highest, steps, message):
    with pytest.raises(UserError) as caught:
        exponential_rates(lowest, highest, steps)
    assert str(caught.value).startswith(message)


def test_smoothing_is_a_weighted_mean_without_bias():
    assert smooth([5.0] * 50) == pytest.approx([5.0] * 50)
    losses = [3.0, 1.0, 4.0, 1.5]
    expected = [
        sum(0.5 ** (i - j) * losses[j] for j in range(i + 1)) / sum(0.5**k for k in range(i + 1))
        for i in range(4)
    ]
    assert smooth(losses, 0.5) == pytest.approx(expected, rel=1e-12)
    assert smooth(losses, 0.0) == losses
    # An impulse at the first step decays as w^i (1 - w) / (1 - w^(i+1)).
    assert smooth([1.0, 0.0, 0.0], 0.9)[2] == pytest.approx(0.81 * 0.1 / (1 - 0.9**3), rel=1e-12)


def test_a_cosine_falls_fastest_in_its_middle_and_is_lowest_at_its_end():
    """In x = log lr the loss cos(x) is steepest at pi / 2 and lowest at pi."""
    x = np.linspace(0, 3 * pi / 2, 301)
    found = suggest(np.exp(x).tolist(), np.cos(x).tolist())
    assert isclose(found.steepest, exp(pi / 2), rel_tol=1e-9)
    assert isclose(found.lowest, exp(pi), rel_tol=1e-9)
    assert str(found) == ("suggested lr: 4.81 (steepest descent)\na tenth of the lr of the lowest loss: 2.31")


def test_a_fall_among_the_first_steps_or_after_the_minimum_is_no_suggestion():
    x = np.linspace(0, 3 * pi / 2, 301)
    loss = np.cos(x)
    loss[:20] += np.linspace(40, 0, 20)  # steeper, but within the first tenth
    loss[290:] += 100 * np.array([1, 2, 3, 4, 5, 4, 3, 2, 1, 1, 1])  # falls again after an explosion
    found = suggest(np.exp(x).tolist(), loss.tolist())
    assert isclose(found.steepest, exp(pi / 2), rel_tol=1e-9)


@pytest.mark.parametrize("losses", [[], [1.0], [1.0] * 50, list(range(50))], ids=len)
def test_a_loss_that_does_not_fall_suggests_nothing(losses):
    assert suggest(exponential_rates(0.1, 1.0, 50)[: len(losses)], losses) is None


class Data:
    """Epochs of three batches; the images of a batch are its number from the start."""

    steps_per_epoch, batch_size, size = 3, 2, 1

    def epoch(self, epoch: int):
        return Epoch(range(3 * epoch, 3 * epoch + 3))

    def run(self, first_epoch: int):
        raise NotImplementedError

    def explain(self, error: Exception) -> Exception:
        return UserError(f"explained: {error}")


class Epoch:
    def __init__(self, numbers: range) -> None:
        self.numbers = numbers

    def create_tuple_iterator(self, num_epochs: int):
        return ((Tensor([float(i)]), Tensor([0])) for i in self.numbers)


class Losses(nn.Cell):
    """A step whose losses are given; it remembers which batches it saw."""

    accumulation = 1

    def __init__(self, losses):
        super().__init__()
        self.losses = losses
        self.seen = []

    def __call__(self, images, labels):
        assert self.training
        self.seen.append(int(images.asnumpy()[0]))
        loss = self.losses(len(self.seen) - 1)
        return Tensor(loss, ms.float32)


def test_every_rate_takes_the_next_batch_across_epochs():
    step = Losses(lambda i: 2.0 + cos(i / 4))
    rates = exponential_rates(1e-3, 1.0, 11)
    test = run_range_test(step, Data(), rates, silent=True)
    assert step.seen == list(range(11))
    assert test.rates == tuple(rates)
    assert test.losses == pytest.approx([2.0 + cos(i / 4) for i in range(11)], rel=1e-6)
    assert test.smoothed == pytest.approx(smooth(test.losses), rel=1e-12)


def test_the_test_ends_at_the_step_whose_smoothed_loss_exceeds_four_times_the_lowest():
    losses = [1.0] * 20 + [11.0] * 30
    smoothed = smooth(losses)
    end = next(i for i, loss in enumerate(smoothed) if loss > 4.0)
    test = run_range_test(Losses(losses.__getitem__), Data(), exponential_rates(1e-3, 1.0, 50), silent=True)
    assert len(test.rates) == len(test.losses) == end + 1 < 50


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_test_and_is_not_recorded(bad):
    losses = [2.0, 1.0, bad]
    test = run_range_test(Losses(losses.__getitem__), Data(), exponential_rates(1e-3, 1.0, 10), silent=True)
    assert test.losses == (2.0, 1.0)


def test_all_ranks_decide_by_the_combined_loss():
    test = run_range_test(
        Losses(lambda i: 1.0),
        Data(),
        exponential_rates(1e-3, 1.0, 10),
        combine=lambda loss: loss + 2,
        silent=True,
    )
    assert test.losses == (3.0,) * 10


def test_an_unreadable_image_is_explained():
    def fail(i: int) -> float:
        raise RuntimeError("decode")

    with pytest.raises(UserError, match="explained: decode"):
        run_range_test(Losses(fail), Data(), exponential_rates(1e-3, 1.0, 10), silent=True)


def test_each_step_is_taken_with_its_own_rate():
    """The loss is the weight times the batch's number, so that each step moves it by rate times number."""
    network = nn.Dense(1, 1, weight_init="zeros", has_bias=False)
    rates = exponential_rates(1e-3, 1e-1, 10)
    optimizer = create_optimizer(network, "sgd", lr=rates, momentum=0.0)
    step = TrainStep(NetworkWithLoss(Column(network), Mean()), optimizer)
    run_range_test(step, Data(), rates, combine=lambda loss: 1.0, silent=True)
    moved = sum(rate * i for i, rate in enumerate(rates))
    assert float(network.weight.asnumpy()[0, 0]) == pytest.approx(-moved, rel=1e-5)


class Column(nn.Cell):
    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, x):
        return self.network(x.reshape((-1, 1)))


class Mean(nn.Cell):
    def construct(self, logits, labels):
        return logits.mean()


def test_table_and_plot_show_the_test(tmp_path):
    x = np.linspace(0, 3 * pi / 2, 31)
    losses = tuple((2 + np.cos(x)).tolist())
    test = RangeTest(rates=tuple(np.exp(x).tolist()), losses=losses, smoothed=losses)
    assert test.suggestion == Suggestion(steepest=test.rates[10], lowest=test.rates[20])
    table, plot = test.write(tmp_path)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 31
    assert rows[0] == {"step": "1", "lr": "1", "loss": "3.000000", "smoothed_loss": "3.000000"}
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("rule", "factor"), [("none", 1.0), ("linear", 4.0), ("sqrt", 2.0)])
def test_the_rates_of_a_scaled_recipe_are_values_of_the_option_lr(rule, factor):
    config = Config.from_options({"batch_size": 128, "lr_scale": rule, "lr_scale_batch": 256})
    assert build.learning_rate_factor(config, Runtime(device="CPU", world_size=8)) == factor


def run_tool(*arguments: object, cwd: Path) -> tuple[int, str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "mindcv.programs.find_learning_rate", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr.splitlines()


@pytest.mark.slow
def test_the_tool_suggests_a_rate_and_leaves_only_table_and_plot(photos, tmp_path):
    status, output, errors = run_tool(
        *("-c", ROOT / "configs" / "mnasnet" / "mnasnet0.75_gpu.yaml", "--data_dir", photos),
        *("--model", "mnasnet_small", "--device_target", "CPU", "--mode", "1", "--image_resize", "32"),
        *("--batch_size", "8", "--num_parallel_workers", "1", "--distribute", "false"),
        *("--steps", "15", "--lowest_lr", "1e-4", "--highest_lr", "1"),
        cwd=tmp_path,
    )
    assert (status, errors) == (0, [])
    steepest, tenth, where = output.splitlines()
    assert re.fullmatch(r"suggested lr: [\d.e-]+ \(steepest descent\)", steepest)
    assert re.fullmatch(r"a tenth of the lr of the lowest loss: [\d.e-]+", tenth)
    assert where == "curve: ckpt/lr_finder.png   table: ckpt/lr_finder.csv"
    assert {path.name for path in (tmp_path / "ckpt").iterdir()} == {"lr_finder.png", "lr_finder.csv"}
    with (tmp_path / "ckpt" / "lr_finder.csv").open() as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    assert 10 <= len(rates) <= 15
    np.testing.assert_allclose(rates, np.geomspace(1e-4, 1, 15)[: len(rates)], rtol=1e-6)


def test_the_tools_own_options_are_taken_out_before_the_others_are_read(monkeypatch):
    given = ["--steps", "20", "--lr", "0.5", "--highest_lr=3", "--scale", "[0.5, 1.0]"]
    monkeypatch.setattr(sys, "argv", ["find_learning_rate", *given])
    config, options = parse_options()
    assert vars(options) == {"lowest_lr": 1e-6, "highest_lr": 3.0, "steps": 20}
    assert (config.schedule.lr, config.augment.scale) == (0.5, (0.5, 1.0))


def test_an_option_that_neither_knows_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["find_learning_rate", "--step", "20"])
    with pytest.raises(ConfigError, match=r"^command line: unknown option 'step'"):
        parse_options()


def test_a_range_without_a_result_is_refused_with_what_was_seen(tmp_path):
    rising = tuple(float(i) for i in range(1, 21))
    test = RangeTest(rates=tuple(exponential_rates(0.1, 1.0, 20)), losses=rising, smoothed=rising)
    with pytest.raises(UserError) as caught:
        report(test, tmp_path, 0.1)
    plot = tmp_path / "lr_finder.png"
    assert str(caught.value) == (
        f"the loss does not fall from lr=0.1 to lr=1, see {plot}: lower lowest_lr or give more steps"
    )
    assert plot.exists()
    with pytest.raises(UserError, match=r"^the loss is NaN or infinite at lowest_lr=0.1 already: check the"):
        report(RangeTest(rates=(), losses=(), smoothed=()), tmp_path, 0.1)
