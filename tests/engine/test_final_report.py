"""The report at the end of a run: of its best epoch, and never worth a run."""

import logging

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from test_trainer import BATCH, EPOCHS, RATES, Batches, network, step_of

from mindcv.engine import Evaluation, PredictionRecorder, RunPosition, evaluate
from mindcv.engine.callbacks import FinalReport
from mindcv.errors import UserError
from mindcv.step import EvalStep
from tests.support.training import usual_trainer


@pytest.fixture(autouse=True)
def _pynative(monkeypatch):
    monkeypatch.setattr(logging.getLogger("mindcv"), "handlers", [])
    ms.set_context(mode=ms.PYNATIVE_MODE)


class Setting:
    """A run that is validated on its training points, with scores that are set from outside."""

    def __init__(self, top1: list[int], write=None) -> None:
        self.data = Batches()
        count = len(self.data.labels)
        self.recorder = PredictionRecorder(np.arange(count), count)
        self.top1 = list(top1)
        self.recorded: list[np.ndarray] = []
        self.written = []
        self.net = network()
        self.report = FinalReport(
            "report.html", write or (lambda run, epoch: self.written.append(epoch)), self.recorder
        )
        self.scoring = EvalStep(self.net, nn.CrossEntropyLoss(reduction="none"), with_logits=True)

    def validate(self) -> Evaluation:
        self.recorder.begin()
        starts = range(0, len(self.data.labels), BATCH)
        batches = [(self.data.images[i : i + BATCH], self.data.labels[i : i + BATCH]) for i in starts]
        evaluate(self.scoring, batches, BATCH, observe=self.recorder.add)
        self.recorded.append(self.recorder.recorded())
        return Evaluation(images=40, top1=self.top1.pop(0), top5=40, loss_sum=40.0)

    def train(self, epochs: int = EPOCHS, **options):
        training = usual_trainer(
            step_of(self.net),
            self.data,
            epochs,
            learning_rates=RATES,
            validate=self.validate,
            callbacks=[self.report],
            **options,
        )
        training.fit()
        return training


def test_the_predictions_of_the_first_best_epoch_are_reported_without_another_pass():
    setting = Setting([10, 30, 30, 20])
    setting.train()
    (epoch,) = setting.written
    assert epoch.result.epoch == 2
    np.testing.assert_array_equal(epoch.predictions.predicted, setting.recorded[1][:, 2])
    assert (setting.recorded[1][:, 3] != setting.recorded[3][:, 3]).any()
    assert len(setting.recorded) == EPOCHS


def test_without_a_validation_the_report_has_no_predictions():
    setting = Setting([])
    training = usual_trainer(
        step_of(network()), Batches(), 1, learning_rates=RATES, callbacks=[setting.report]
    )
    training.fit()
    assert setting.written == [None]


def test_a_run_that_has_nothing_left_to_train_keeps_its_report():
    setting = Setting([])
    setting.train(epochs=1, start=RunPosition(epoch=1))
    assert setting.written == []


@pytest.mark.parametrize("error", [UserError("disk full"), KeyError("x"), RuntimeError("no\nanswer")])
def test_a_report_that_fails_is_one_line_of_warning(error, caplog):
    def write(run, epoch):
        raise error

    training = Setting([1] * EPOCHS, write).train()
    assert [result.epoch for result in training.results] == [1, 2, 3, 4]
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.startswith(f"report.html cannot be written ({type(error).__name__}: ")
    assert warning.endswith("everything else is complete")


def test_an_epoch_that_a_rollback_undoes_is_not_reported():
    setting = Setting([30, 10])
    training = setting.train(epochs=2)
    setting.report.on_restart(training.run)  # `start` is the end of epoch 2
    assert setting.report.best is not None
    training.run.start = RunPosition(epoch=0)
    setting.report.on_restart(training.run)
    assert setting.report.best is None
