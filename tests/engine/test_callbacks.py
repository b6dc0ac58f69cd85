"""Callbacks of a training run: when they are called, what they see, and what they may ask for."""

import os
import re
import signal
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from test_trainer import BATCH, EPOCHS, NOBODY, RATES, STEPS, Batches, network, step_of

from mindcv.engine import (
    CheckpointManager,
    RunCallback,
    RunPosition,
    RunState,
    Trainer,
    run_state,
    training_state,
)
from mindcv.engine.callbacks import Checkpointing, SaveSchedule, Stopping
from mindcv.errors import CallbackError, Stopped, UserError
from mindcv.files.checkpoint_file import read_checkpoint
from mindcv.runtime.interrupt import SIGNALS, StopRequest
from mindcv.step import LossScale, NetworkWithLoss, TrainStep
from tests.support.training import usual_trainer


def trainer(*callbacks: ms.Callback, epochs: int = 2, data: Batches | None = None, **options):
    return usual_trainer(
        step_of(network()),
        data or Batches(),
        epochs,
        learning_rates=RATES,
        callbacks=callbacks,
        **options,
    )


def saving(folder: Path, *callbacks: ms.Callback, **options):
    """A trainer that writes checkpoints."""
    net = network()
    step = step_of(net)
    manager = CheckpointManager(folder, "net", training_state(net, step), {})
    options = {"learning_rates": RATES, "callbacks": callbacks, "checkpoints": manager, **options}
    return usual_trainer(step, Batches(), 2, **options)


class Recorder(RunCallback):
    """Records each call, with epoch and batch."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int, int]] = []

    def note(self, name: str, run: RunState) -> None:
        self.calls.append((name, run.epoch, run.batch))

    def on_train_begin(self, run_context) -> None:
        self.note("begin", run_state(run_context))

    def on_train_epoch_begin(self, run_context) -> None:
        self.note("epoch", run_state(run_context))

    def on_train_step_end(self, run_context) -> None:
        self.note("step", run_state(run_context))

    def on_interval(self, run: RunState) -> None:
        self.note("interval", run)

    def on_train_epoch_end(self, run_context) -> None:
        self.note("epoch end", run_state(run_context))

    def on_epoch_result(self, run: RunState) -> None:
        self.note("result", run)

    def on_save(self, run: RunState) -> None:
        self.note("save", run)

    def on_restart(self, run: RunState) -> None:
        self.note("restart", run)

    def on_train_end(self, run_context) -> None:
        self.note("end", run_state(run_context))


# --- when they are called ----------------------------------------------------------------------------------


def test_a_callback_is_called_at_each_moment_of_a_run_once():
    recorder = Recorder()
    trainer(recorder, log_interval=2).fit()
    expected = [("begin", 0, 0)]
    for epoch in (1, 2):
        expected.append(("epoch", epoch, 0))
        for batch in range(1, STEPS + 1):
            expected.append(("step", epoch, batch))
            expected += [("interval", epoch, batch)] if batch % 2 == 0 or batch == STEPS else []
        expected += [("epoch end", epoch, STEPS), ("result", epoch, STEPS)]
    # The last interval of an epoch is read after its last step.
    assert recorder.calls == [*expected, ("end", 2, STEPS)]


def test_a_resumed_run_restarts_its_callbacks_and_continues_the_count():
    recorder = Recorder()
    trainer(recorder, epochs=3, start=RunPosition(epoch=2, steps_per_epoch=STEPS)).fit()
    assert recorder.calls[:3] == [("restart", 2, 0), ("begin", 2, 0), ("epoch", 3, 0)]


def test_a_callback_of_mindspore_sees_the_numbers_of_the_whole_run():
    seen = []

    class Plain(ms.Callback):
        def step_end(self, run_context) -> None:  # the older name of on_train_step_end
            params = run_context.original_args()
            seen.append((params.cur_epoch_num, params.cur_step_num, params.batch_num, params.epoch_num))
            assert float(params.net_outputs) > 0

    trainer(Plain()).fit()
    steps = range(1, 2 * STEPS + 1)
    assert seen == [(1 + (step - 1) // STEPS, step, STEPS, 2) for step in steps]


def test_mindspores_monitors_work_unchanged(capsys):
    training = trainer(ms.LossMonitor(), ms.TimeMonitor())
    training.fit()
    lines = capsys.readouterr().out.splitlines()
    places = [
        found.groups() for line in lines if (found := re.match(r"epoch: (\d) step: (\d), loss is", line))
    ]
    assert places == [(str(epoch), str(step)) for epoch in (1, 2) for step in range(1, STEPS + 1)]
    assert len([line for line in lines if line.startswith("Train epoch time: ")]) == 2


# --- what they see -----------------------------------------------------------------------------------------


def test_intervals_hold_every_loss_once_with_its_learning_rate():
    intervals = []

    class Log(RunCallback):
        def on_interval(self, run: RunState) -> None:
            intervals.append(run.interval)

    training = trainer(Log(), log_interval=2, data=Batches(world_size=3))
    training.fit()
    assert [(i.epoch, i.batch, i.step) for i in intervals] == [
        *((1, 2, 2), (1, 4, 4), (1, 5, 5)),
        *((2, 2, 7), (2, 4, 9), (2, 5, 10)),
    ]
    assert [i.lr for i in intervals] == [RATES[i.step - 1] for i in intervals]
    for epoch in (1, 2):
        losses = [loss for i in intervals if i.epoch == epoch for loss in i.losses]
        assert np.mean(losses) == pytest.approx(training.results[epoch - 1].train_loss, abs=1e-9)
    assert all(i.images_per_second > 3 * BATCH for i in intervals)


def test_the_result_of_an_epoch_holds_its_validation():
    seen = []

    class Log(RunCallback):
        def on_epoch_result(self, run: RunState) -> None:
            seen.append((run.results[-1].epoch, run.results[-1].validation, run.is_main))

    trainer(Log(), validate=lambda: NOBODY, val_interval=2, epochs=3).fit()
    assert seen == [(1, None, True), (2, NOBODY, True), (3, NOBODY, True)]


@pytest.mark.parametrize("log_interval", [1, 100])
def test_the_reported_learning_rate_is_the_one_used_after_skipped_updates(log_interval):
    rates = []

    class Log(RunCallback):
        def on_interval(self, run: RunState) -> None:
            rates.append((run.interval.lr, int(run.step.optimizer.global_step.asnumpy()[0])))

    net = nn.SequentialCell(nn.Dense(2, 3))
    scale = LossScale(2.0, skip=True)
    optimizer = nn.SGD(net.trainable_params(), RATES)
    step = TrainStep(NetworkWithLoss(net, nn.CrossEntropyLoss()), optimizer, loss_scale=scale)
    training = usual_trainer(
        step, Batches(broken_epoch=0), 2, learning_rates=RATES, callbacks=[Log()], log_interval=log_interval
    )
    training.fit()
    assert [(r.step, r.overflows) for r in training.results] == [(STEPS, 1), (2 * STEPS, 0)]
    assert [r.lr for r in training.results] == [RATES[STEPS - 2], RATES[2 * STEPS - 2]]
    # The learning rate that the optimizer used last has the number of its updates.
    assert rates == [(RATES[updates - 1], updates) for _, updates in rates]
    assert rates[-1][1] == 2 * STEPS - 1


# --- what they may ask for ---------------------------------------------------------------------------------


class AtStep(RunCallback):
    """Does something after a step of the run."""

    def __init__(self, step: int, action) -> None:
        super().__init__()
        self.step, self.action = step, action

    def on_train_step_end(self, run_context) -> None:
        if run_context.original_args().cur_step_num == self.step:
            self.action(run_context)


def latest(folder: Path) -> RunPosition:
    metadata = read_checkpoint(folder / "net_latest.ckpt").metadata
    return RunPosition.from_metadata(metadata["progress"])


def test_a_callback_can_ask_for_a_save(tmp_path):
    recorder = Recorder()
    ask = AtStep(7, lambda context: run_state(context).request_save())
    saving(tmp_path, ask, recorder).fit()
    assert [call for call in recorder.calls if call[0] == "save"] == [("save", 2, 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net-1.ckpt", "net-2.ckpt"]


def test_a_callback_can_stop_the_run_with_its_state_saved(tmp_path):
    ask = AtStep(7, lambda context: run_state(context).request_stop())
    with pytest.raises(
        Stopped, match=r"^stopped in epoch 2; the state is saved: continue with --resume auto$"
    ):
        saving(tmp_path, ask).fit()
    assert (latest(tmp_path).epoch, latest(tmp_path).batch) == (1, 2)


def test_mindspores_way_to_stop_ends_the_run_without_an_error(tmp_path):
    training = saving(tmp_path, AtStep(7, lambda context: context.request_stop()))
    training.fit()
    assert [result.epoch for result in training.results] == [1]
    assert (latest(tmp_path).epoch, latest(tmp_path).batch) == (1, 2)


def test_a_state_is_saved_every_so_many_updates_and_seconds(tmp_path):
    saved = []

    class Note(RunCallback):
        def on_save(self, run: RunState) -> None:
            saved.append(run.batch)

    for schedule in (SaveSchedule(every_updates=2), SaveSchedule(every_seconds=1e-9)):
        usual_trainer(
            step_of(network()),
            Batches(),
            1,
            learning_rates=RATES,
            callbacks=[Checkpointing(None, schedule), Note()],
        ).fit()
    assert saved == [2, 4, 1, 2, 3, 4]


def test_signals_have_their_own_handlers_again_after_a_run():
    before = [signal.getsignal(number) for number in SIGNALS]
    trainer(Stopping(StopRequest()), epochs=1).fit()
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_is_a_request_to_stop(number):
    request = StopRequest(speaks=False)
    try:
        assert not request()
        os.kill(os.getpid(), number)
        assert request()
    finally:
        request.stop_listening()


def test_a_run_that_nohup_has_started_outlives_its_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    request = StopRequest(speaks=False)
    try:
        assert not request()
        os.kill(os.getpid(), signal.SIGHUP)
        assert not request()
    finally:
        request.stop_listening()
        signal.signal(signal.SIGHUP, before)


# --- what fails --------------------------------------------------------------------------------------------


class Failing(RunCallback):
    def on_epoch_result(self, run: RunState) -> None:
        raise ConnectionError("the tracker does not answer")


def test_a_failing_callback_is_named_and_the_epoch_is_saved(tmp_path):
    with pytest.raises(CallbackError) as caught:
        saving(tmp_path, Failing()).fit()
    assert str(caught.value) == (
        "callback test_callbacks.Failing failed in on_epoch_result: "
        "ConnectionError: the tracker does not answer"
    )
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert [path.name for path in tmp_path.iterdir()] == ["net-1.ckpt"]


def test_a_mistake_of_the_users_keeps_its_message():
    def complain(context) -> None:
        raise UserError("the folder is full: free it")

    with pytest.raises(UserError, match=r"^the folder is full: free it$"):
        trainer(AtStep(1, complain)).fit()


def test_without_callbacks_a_trainer_still_trains():
    training = Trainer(step_of(network()), Batches(), EPOCHS, learning_rates=RATES)
    training.fit()
    assert [result.epoch for result in training.results] == [1, 2, 3, 4]
