"""A training run, from the options to its trainer."""

from collections.abc import Mapping, Sequence

import mindspore as ms
from mindspore import Parameter, Tensor, nn

from mindcv.build.agreement import compare_weights
from mindcv.build.callbacks import build_callbacks, check_callbacks
from mindcv.build.evaluation import build_checkpoints
from mindcv.build.networks import build_ema_model, build_forward, build_network
from mindcv.build.optimization import build_learning_rates, build_optimizer
from mindcv.build.pipelines import build_training_data
from mindcv.build.resumed_run import build_rollback, find_resumed, locked_folder, restore_run
from mindcv.build.resumed_workers import with_resumed_workers, workers_of_ranks
from mindcv.build.run_summary import describe_run
from mindcv.build.runtime import start_runtime
from mindcv.build.training_step import broadcast_initial_values, build_train_step
from mindcv.config import Config
from mindcv.engine import Trainer, training_state
from mindcv.models import find_model
from mindcv.runtime.session import Runtime

__all__ = ["create_trainer"]


def create_trainer(config: Config, callbacks: Sequence[ms.Callback] = ()) -> Trainer:
    """Return the trainer of a run, ready for ``fit()``.

    Its checkpoints, table and curve are written to `ckpt_save_dir`. For example, log to a tracker::

        class Tracker(RunCallback):
            def on_interval(self, run):
                if run.is_main:
                    tracker.log({"loss": run.interval.losses[-1], "lr": run.interval.lr}, step=run.updates)

            def on_epoch_result(self, run):
                if run.is_main:
                    tracker.log({"top1": run.results[-1].score}, step=run.updates)

        trainer = create_trainer(load_config(["-c", "recipe.yaml"]), callbacks=[Tracker()])
        trainer.fit()
        print(trainer.results[-1])

    Args:
        config: Options.
        callbacks: The user's own, of MindSpore's class `Callback` or of `RunCallback`. They are called after
            those of the run. One that fails ends the run with a `CallbackError`; the last checkpoint stays.

    Raises:
        UserError: If options, data and files do not fit together, or another run uses `ckpt_save_dir`.
    """
    find_model(config.model.model_name)  # a wrong name is reported before the dataset is read
    check_callbacks(callbacks)
    runtime = start_runtime(config)
    with locked_folder(config, runtime):
        return _trainer(config, callbacks, runtime)


def _trainer(config: Config, callbacks: Sequence[ms.Callback], runtime: Runtime) -> Trainer:
    resumed = find_resumed(config, runtime)
    data = build_training_data(config, runtime)
    classes = data.source.classes
    path, metadata = (None, {}) if resumed is None else (resumed[0], resumed[1].metadata)
    data = with_resumed_workers(config, path, metadata, data, runtime)
    network = build_network(config, classes, runtime, is_training=True, resumed=resumed)
    ema_model = build_ema_model(config, network, classes, runtime)
    learning_rates = build_learning_rates(config, data.updates_per_epoch, runtime)
    optimizer = build_optimizer(config, network, learning_rates)
    broadcast_initial_values(network, optimizer, runtime)
    forward = build_forward(config, network, classes)
    step = build_train_step(config, network, forward, optimizer, ema_model, runtime)
    state = training_state(network, step)
    workers = workers_of_ranks(data, runtime)
    checkpoints = build_checkpoints(config, network, state, classes, runtime, workers)
    rollback = build_rollback(config, state, data, checkpoints, runtime)
    opening = describe_run(config, network, data, runtime, str(path or ""))
    run_callbacks = build_callbacks(
        config, network, ema_model, checkpoints, rollback, runtime, callbacks, opening=opening
    )
    if checkpoints is not None:
        checkpoints.prepare_folder()
    position = restore_run(config, resumed, state, data.steps_per_epoch, checkpoints, runtime)
    compare_weights(_all_values(forward, state), "the weights to begin with", runtime)
    return Trainer(
        step,
        data,
        config.schedule.num_epochs,
        run_callbacks,
        learning_rates=learning_rates,
        start=position,
        log_interval=config.system.log_interval,
        sink=config.system.dataset_sink_mode and runtime.supports_sink,
    )


def _all_values(forward: nn.Cell, state: Mapping[str, Parameter | Tensor]) -> list[Parameter | Tensor]:
    """The tensors of a run, and those of its teacher, which no checkpoint contains."""
    known = {id(value) for value in state.values()}
    return [*state.values(), *(value for value in forward.get_parameters() if id(value) not in known)]
