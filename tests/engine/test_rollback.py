"""A loss that is not finite: the run returns to its newest checkpoint, three times at most."""

import logging
import re

import mindspore as ms
import pytest
from test_trainer import EPOCHS, RATES, STEPS, Batches, network, step_of

from mindcv.config import Config
from mindcv.engine import RunPosition
from mindcv.errors import NotFiniteError
from mindcv.programs import train
from tests.support.training import usual_trainer


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.setattr(logging.getLogger("mindcv"), "handlers", [])
    monkeypatch.chdir(tmp_path)


def test_with_restored_weights_training_ends_as_if_nothing_had_happened(tmp_path):
    kept, errors = {}, []

    def keep() -> None:
        if len(training.results) == 0:
            kept.update({p.name: p.asnumpy().copy() for p in step.get_parameters()})

    def roll_back(error: NotFiniteError) -> tuple[RunPosition, Batches]:
        errors.append(str(error))
        for parameter in step.get_parameters():
            ms.ops.assign(parameter, ms.Tensor(kept[parameter.name]))
        return RunPosition(epoch=1, steps_per_epoch=STEPS, results=tuple(training.results[:1])), Batches()

    step = step_of(network())
    training = usual_trainer(
        step,
        Batches(broken_epoch=1),
        epochs=EPOCHS,
        learning_rates=RATES,
        folder=tmp_path,
        exchange=keep,
        rollback=roll_back,
    )
    training.fit()
    # Its ReLU makes 0 of NaN: the weights show what the loss hides.
    (error,) = errors
    assert error.startswith("'0.weight' is no longer finite in epoch 2")
    alone = usual_trainer(step_of(network()), Batches(), epochs=EPOCHS, learning_rates=RATES)
    alone.fit()
    assert [r.train_loss for r in training.results] == [r.train_loss for r in alone.results]


@pytest.mark.slow
def test_a_run_whose_losses_stay_bad_rolls_back_three_times_and_then_ends(photos, tmp_path, caplog):
    options = {
        "data_dir": str(photos),
        "ckpt_save_dir": str(tmp_path / "ckpt"),
        "model": "mnasnet_small",
        "mode": 1,
        "device_target": "CPU",
        "image_resize": 32,
        "batch_size": 8,
        "num_samples": 16,
        "num_parallel_workers": 1,
        "epoch_size": 3,
        "scheduler": "multi_step_decay",
        "multi_step_decay_milestones": [1],
        "decay_rate": 2e9,  # the second epoch has an impossible learning rate
        "warmup_epochs": 0,
        "lr": 1e-3,
        "opt": "sgd",
        "on_nan": "rollback",
    }
    with caplog.at_level(logging.INFO), pytest.raises(NotFiniteError):
        train.train(Config.from_options(options))
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if re.match(r"resumes from .*-[12].ckpt, after epoch", line)]) == 3
    reasons = [line for line in said if re.search(r"no longer finite in epoch|the loss is", line)]
    assert len(reasons) == 3
