"""Callbacks of a user that fail, recover for ever or stop a run twice."""

import logging

import mindspore as ms
import pytest
from test_trainer import RATES, Batches, network, step_of

from mindcv.engine import RunCallback, RunState
from mindcv.errors import CallbackError, NotFiniteError, Stopped
from tests.support.training import usual_trainer


@pytest.fixture(autouse=True)
def _pynative(monkeypatch):
    monkeypatch.setattr(logging.getLogger("mindcv"), "handlers", [])
    ms.set_context(mode=ms.PYNATIVE_MODE)


def trainer(*callbacks: ms.Callback, epochs: int = 2, **options):
    return usual_trainer(
        step_of(network()),
        options.pop("data", None) or Batches(),
        epochs,
        learning_rates=RATES,
        callbacks=callbacks,
        **options,
    )


class Failing(RunCallback):
    """Fails in some of its methods."""

    def __init__(self, *methods: str) -> None:
        super().__init__()
        self.methods = methods

    def fail(self, method: str) -> None:
        if method in self.methods:
            raise ConnectionError("no answer")

    def __enter__(self) -> "Failing":
        self.fail("__enter__")
        return self

    def __exit__(self, *error) -> None:
        self.fail("__exit__")

    def on_epoch_result(self, run: RunState) -> None:
        self.fail("on_epoch_result")

    def recover(self, run: RunState, error: Exception) -> bool:
        self.fail("recover")
        return False


class Resource(RunCallback):
    """Records the error that its `__exit__` receives."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[type[BaseException] | None] = []

    def __exit__(self, *error) -> None:
        self.left.append(error[0])


@pytest.mark.parametrize("method", ["__enter__", "__exit__", "on_epoch_result", "recover"])
def test_callback_and_method_are_named_and_the_other_callbacks_are_left(method):
    resource = Resource()
    data = Batches(broken_epoch=0) if method == "recover" else Batches()
    with pytest.raises(CallbackError) as caught:
        trainer(resource, Failing(method), data=data).fit()
    assert str(caught.value) == (
        f"callback test_callback_failures.Failing failed in {method}: ConnectionError: no answer"
    )
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert resource.left == [CallbackError]


def test_a_failure_at_the_end_does_not_hide_why_the_run_failed(caplog):
    with pytest.raises(CallbackError, match="failed in on_epoch_result"):
        trainer(Failing("on_epoch_result", "__exit__")).fit()
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.endswith("Failing failed in __exit__: ConnectionError: no answer")


def test_a_recovery_that_never_helps_ends():
    class Again(RunCallback):
        calls = 0

        def recover(self, run: RunState, error: Exception) -> bool:
            self.calls += 1
            return True

    again = Again()
    with pytest.raises(NotFiniteError, match="is no longer finite"):
        trainer(again, data=Batches(broken_epoch=0)).fit()
    assert again.calls == 3


def test_only_the_guards_error_rolls_back():
    class Strict(RunCallback):
        def on_interval(self, run: RunState) -> None:
            raise NotFiniteError("the loss looks odd")

    def rollback(error: NotFiniteError):
        raise AssertionError("other ranks would not roll back")

    with pytest.raises(CallbackError, match=r"Strict failed in on_interval: NotFiniteError: the loss looks"):
        trainer(Strict(), rollback=rollback).fit()


class StopOnce(RunCallback):
    """Asks for one stop, in MindSpore's way or in the project's, within the first epoch."""

    def __init__(self, mindspores: bool) -> None:
        super().__init__()
        self.mindspores = mindspores
        self.steps: list[int] = []

    def on_train_step_end(self, run_context) -> None:
        params = run_context.original_args()
        self.steps.append(params.cur_step_num)
        if len(self.steps) == 2:
            (run_context if self.mindspores else params.run).request_stop()


@pytest.mark.parametrize("mindspores", [True, False])
def test_fit_after_a_stop_trains_the_rest(mindspores):
    stop = StopOnce(mindspores)
    training = trainer(stop)
    if mindspores:
        training.fit()
    else:
        with pytest.raises(Stopped):
            training.fit()
    assert training.results == []
    training.fit()
    assert stop.steps == [*range(1, 2 * training.run.data.steps_per_epoch + 1)]
    alone = trainer()
    alone.fit()
    assert [r.train_loss for r in training.results] == [r.train_loss for r in alone.results]
