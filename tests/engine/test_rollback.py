"""A loss that is no finite number: the run goes back to its newest checkpoint, three times at most."""

import logging
import re

import mindspore as ms
import pytest
from test_trainer import EPOCHS, RATES, STEPS, Batches, network, step_of

from mindcv.config import Config
from mindcv.engine import History, Progress, Trainer
from mindcv.errors import NotFiniteError
from mindcv.programs import train


@pytest.fixture(autouse=True)
def _pynative(monkeypatch, tmp_path):
    monkeypatch.setattr(logging.getLogger("mindcv"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


def test_with_mended_weights_training_ends_as_if_nothing_had_happened(tmp_path):
    history, net = History(tmp_path), network()
    kept, errors = {}, []

    def keep() -> None:
        if len(history.results) == 0:
            kept.update({p.name: p.asnumpy().copy() for p in training.step.get_parameters()})

    def roll_back(error: NotFiniteError) -> tuple[Progress, Batches]:
        errors.append(str(error))
        for parameter in training.step.get_parameters():
            ms.ops.assign(parameter, ms.Tensor(kept[parameter.name]))
        history.restore(history.results[:1])
        return Progress(epoch=1, steps_per_epoch=STEPS), Batches()

    training = Trainer(
        step_of(net),
        Batches(broken_epoch=1),
        epochs=EPOCHS,
        learning_rates=RATES,
        history=history,
        before_validation=keep,
        rollback=roll_back,
    )
    training.fit()
    # Its ReLU makes 0 of NaN: the weights show what the loss hides.
    (error,) = errors
    assert error.startswith("'0.weight' is no longer finite in epoch 2")
    alone = Trainer(
        step_of(network()), Batches(), epochs=EPOCHS, learning_rates=RATES, history=History(tmp_path)
    )
    alone.fit()
    assert [r.train_loss for r in history.results] == [r.train_loss for r in alone.history.results]


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
    assert len([line for line in said if re.match(r"goes on with .*-[12].ckpt, after epoch", line)]) == 3
    reasons = [line for line in said if re.search(r"no longer finite in epoch|the loss is", line)]
    assert len(reasons) == 3
