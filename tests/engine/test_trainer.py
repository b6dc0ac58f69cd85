"""The training loop: what it calls and when, what it records, and what stops it."""

import csv
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore import Tensor, nn
from PIL import Image

from mindcv.data import Pipeline, create_source, create_transforms
from mindcv.engine import CheckpointManager, Evaluation, RunPosition, Trainer, evaluate, training_state
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import read_checkpoint
from mindcv.step import EvalStep, NetworkWithLoss, Normalized, TrainStep
from tests.support.training import usual_trainer

STEPS, BATCH, EPOCHS, CLASSES = 5, 8, 4, 3
RATES = [2 / (step + 10) for step in range(STEPS * EPOCHS)]
NOBODY = Evaluation(images=2, top1=1, top5=2, loss_sum=1.0)


class Batches:
    """Points of the plane in memory, whose class is the direction they lie in; `world_size` ranks at once."""

    steps_per_epoch, batch_size, rank = STEPS, BATCH, 0

    def __init__(self, *, world_size: int = 1, broken_epoch: int | None = None) -> None:
        rng = np.random.default_rng(0)
        self.labels = rng.integers(0, CLASSES, STEPS * BATCH).astype(np.int32)
        angles = self.labels * 2 * np.pi / CLASSES + rng.normal(size=len(self.labels)) / 5
        self.images = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
        self.world_size = world_size
        self.broken_epoch = broken_epoch
        self.asked: list[int] = []

    def order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng(epoch).permutation(len(self.labels))

    def epoch(self, epoch: int, *, skip: int = 0):
        self.asked.append(epoch)
        order, left = self.order(epoch), slice(skip * BATCH, None)
        images = self.images[order]
        if epoch == self.broken_epoch:
            images[2 * BATCH] = np.nan
        return ds.NumpySlicesDataset((images[left], self.labels[order][left]), shuffle=False).batch(BATCH)

    def explain(self, error: Exception) -> Exception:
        return error

    def bad_images(self) -> str:
        return ""


def network() -> nn.SequentialCell:
    """Two layers, and between them a normalisation for which the mode matters; always the same weights."""
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((8, 2), np.float32), rng.standard_normal((CLASSES, 8), np.float32)
    return nn.SequentialCell(
        nn.Dense(2, 8, weight_init=Tensor(first), bias_init="zeros"),
        nn.BatchNorm1d(8, momentum=0.9),
        nn.ReLU(),
        nn.Dense(8, CLASSES, weight_init=Tensor(second), bias_init="zeros"),
    )


def step_of(net: nn.Cell) -> TrainStep:
    return TrainStep(NetworkWithLoss(net, nn.CrossEntropyLoss()), nn.SGD(net.trainable_params(), RATES))


def trainer(folder: Path, data: Batches | None = None, net: nn.Cell | None = None, **options) -> Trainer:
    options = {"epochs": EPOCHS, "learning_rates": RATES, "folder": folder, **options}
    return usual_trainer(step_of(net or network()), data or Batches(), **options)


# --- calls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "epochs", "validated"),
    [(1, 4, [1, 2, 3, 4]), (2, 4, [2, 4]), (3, 4, [3, 4]), (9, 4, [4]), (2, 1, [1])],
)
def test_validation_comes_every_interval_and_after_the_last_epoch(tmp_path, interval, epochs, validated):
    calls: list[str] = []

    def validate() -> Evaluation:
        calls.append("validate")
        return NOBODY

    training = trainer(
        tmp_path,
        epochs=epochs,
        validate=validate,
        val_interval=interval,
        exchange=lambda: calls.append("before"),
    )
    training.fit()
    found = [result.validation for result in training.results]
    assert found == [NOBODY if epoch in validated else None for epoch in range(1, epochs + 1)]
    expected = [("before", "validate") if e in validated else ("before",) for e in range(1, epochs + 1)]
    assert calls == [call for epoch in expected for call in epoch]


def test_without_validation_statistics_are_still_exchanged_each_epoch(tmp_path):
    calls = []
    training = trainer(tmp_path, exchange=lambda: calls.append(len(training.results)))
    training.fit()
    assert calls == [0, 1, 2, 3]
    assert [result.validation for result in training.results] == [None] * EPOCHS


def test_training_continues_after_a_validation_that_switched_the_network_to_evaluation(tmp_path):
    net = network()
    seen = []

    def validate() -> Evaluation:
        seen.append(net.training)
        data = Batches()
        scored = EvalStep(net, nn.CrossEntropyLoss(reduction="none"))
        result = evaluate(scored, [(data.images, data.labels)], STEPS * BATCH)
        seen.append(net.training)
        return result

    training = trainer(tmp_path, net=net, validate=validate, exchange=lambda: seen.append(net.training))
    training.fit()
    assert seen == [True, True, False] * EPOCHS
    assert net.training
    # The numbers, too, are those of a training without any validation.
    alone = trainer(tmp_path)
    alone.fit()
    assert losses(training) == losses(alone)


def test_a_validation_that_fails_still_leaves_the_network_in_training_mode(tmp_path):
    net = network()

    def validate() -> Evaluation:
        net.set_train(False)
        raise UserError("no images")

    with pytest.raises(UserError, match="no images"):
        trainer(tmp_path, net=net, validate=validate).fit()
    assert net.training


# --- numbers -----------------------------------------------------------------------------------------------


def losses(training: Trainer) -> list[float]:
    return [result.train_loss for result in training.results]


def test_graph_and_pynative_mode_give_the_same_history_and_it_learns(tmp_path):
    histories = []
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        training = trainer(tmp_path)
        training.fit()
        histories.append(losses(training))
    graph, pynative = histories
    assert graph == pytest.approx(pynative, abs=1e-5)
    assert pynative == sorted(pynative, reverse=True)
    assert pynative[-1] < pynative[0] / 2


def test_the_loss_of_an_epoch_is_the_mean_over_its_steps_whatever_the_log_interval(tmp_path):
    data, net = Batches(), network()
    step = step_of(net).set_train()
    expected = []
    for epoch in range(2):
        order = data.order(epoch).reshape(STEPS, BATCH)
        batches = ((Tensor(data.images[part]), Tensor(data.labels[part])) for part in order)
        expected.append(np.mean([float(step(*batch)) for batch in batches]))
    for interval in (1, 2, 100):
        training = trainer(tmp_path, epochs=2, log_interval=interval)
        training.fit()
        assert losses(training) == pytest.approx(expected, abs=1e-6)


def test_history_holds_steps_rates_and_the_images_of_all_ranks(tmp_path):
    training = trainer(tmp_path, Batches(world_size=3), validate=lambda: NOBODY, val_interval=2)
    training.fit()
    results = training.results
    assert [r.epoch for r in results] == [1, 2, 3, 4]
    assert [r.step for r in results] == [5, 10, 15, 20]
    assert [r.lr for r in results] == [RATES[4], RATES[9], RATES[14], RATES[19]]
    for result in results:
        images = result.images_per_second * result.train_seconds
        assert images == pytest.approx(STEPS * BATCH * 3)
        assert result.train_seconds > 0
        assert 0 <= result.val_seconds < 1
    with (tmp_path / "history.csv").open(encoding="utf-8") as file:
        written = [(row["step"], row["top1"]) for row in csv.DictReader(file)]
    assert written == [("5", ""), ("10", "0.500000"), ("15", ""), ("20", "0.500000")]


def test_training_continues_after_the_epochs_that_are_done(tmp_path):
    data = Batches()
    training = trainer(tmp_path, data, start=RunPosition(epoch=2, steps_per_epoch=STEPS))
    training.fit()
    assert data.asked == [2, 3]
    assert [(r.epoch, r.step, r.lr) for r in training.results] == [
        (3, 15, RATES[14]),
        (4, 20, RATES[19]),
    ]


def test_checkpoints_hold_the_weights_and_the_score_of_their_epoch(tmp_path):
    net = network()
    step = step_of(net)
    scores = iter([1, 3, 2, 2])
    weights = []

    def validate() -> Evaluation:
        weights.append(net[0].weight.asnumpy().copy())
        return Evaluation(images=4, top1=next(scores), top5=4, loss_sum=1.0)

    checkpoints = CheckpointManager(tmp_path, "net", training_state(net, step), {}, keep=9)
    usual_trainer(
        step, Batches(), epochs=EPOCHS, learning_rates=RATES, validate=validate, checkpoints=checkpoints
    ).fit()
    for name, epoch, score in (("-1", 1, 0.25), ("-2", 2, 0.75), ("-4", 4, 0.5), ("_best", 2, 0.75)):
        read = read_checkpoint(tmp_path / f"net{name}.ckpt")
        assert [read.metadata[key] for key in ("epoch", "step", "top1")] == [epoch, epoch * STEPS, score]
        assert read.metadata["progress"]["epoch"] == epoch
        np.testing.assert_array_equal(read.tensors["0.weight"], weights[epoch - 1])
        assert read.tensors["optimizer.global_step"].tolist() == [epoch * STEPS]


def test_a_rank_that_reports_nothing_prints_nothing(tmp_path, capfd):
    usual_trainer(step_of(network()), Batches(), epochs=1, learning_rates=RATES).fit()
    assert capfd.readouterr() == ("", "")
    trainer(tmp_path, epochs=1, validate=lambda: NOBODY).fit()
    out, err = capfd.readouterr()
    assert out.startswith("epoch 1/1  loss ")
    assert out.endswith("  |  validation: top-1 0.5000  top-5 1.0000  loss 0.5000\n")
    assert err == ""


# --- what stops it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", [1, 4, 100])
def test_a_loss_that_is_not_finite_stops_training_and_names_step_epoch_and_rate(tmp_path, interval):
    validations = []
    training = trainer(
        tmp_path,
        Batches(broken_epoch=1),
        nn.SequentialCell(nn.Dense(2, CLASSES)),
        log_interval=interval,
        validate=lambda: validations.append(1) or NOBODY,
    )
    with pytest.raises(UserError) as caught:
        training.fit()
    assert str(caught.value) == (
        f"the loss is nan at step 8 (epoch 2, lr={RATES[7]:.3g}): lower lr or lengthen warmup_epochs"
    )
    assert len(validations) == len(training.results) == 1


def test_weights_that_are_not_finite_stop_training_where_the_loss_hides_them(tmp_path):
    training = trainer(tmp_path, Batches(broken_epoch=1))  # its ReLU makes 0 of NaN
    with pytest.raises(UserError) as caught:
        training.fit()
    assert str(caught.value) == (
        f"'0.weight' is no longer finite in epoch 2 (lr={RATES[9]:.3g}): lower lr or lengthen warmup_epochs"
    )
    assert len(training.results) == 1


@pytest.fixture
def pictures(tmp_path, monkeypatch) -> Callable[[], Pipeline]:
    monkeypatch.chdir(tmp_path)  # MindSpore writes a copy of a damaged image there
    for i in range(6):
        path = tmp_path / "data" / "train" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (24, 24, 3), np.uint8)).save(path)
    return lambda: Pipeline(
        source=create_source("image_folder", tmp_path / "data"),
        transform=create_transforms("image_folder", 16, is_training=True, normalize=False),
        batch_size=2,
        is_training=True,
        num_parallel_workers=1,
    )


@pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE, ms.GRAPH_MODE])
def test_a_damaged_image_stops_training_by_name(tmp_path, pictures, mode):
    damaged = tmp_path / "data" / "train" / "b" / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    ms.set_context(mode=mode)
    net = Normalized(nn.SequentialCell(nn.Flatten(), nn.Dense(3 * 16 * 16, 2)), [0.0] * 3, [255.0] * 3)
    training = usual_trainer(step_of(net), pictures(), epochs=EPOCHS, learning_rates=RATES)
    with pytest.raises(UserError) as caught:
        training.fit()
    assert str(caught.value) == f"{damaged} is cut short: remove or replace it, or set on_bad_image to skip"
