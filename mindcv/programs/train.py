"""Train a network: `python train.py -c configs/mnasnet/mnasnet0.75_gpu.yaml --data_dir /path/to/imagenet`."""

import sys

from mindcv.config import Config, load_config
from mindcv.runtime.interrupt import StopRequest
from mindcv.runtime.program import run_program


def train(config: Config) -> None:
    """Train as the options say; checkpoints, table and curve are written to `ckpt_save_dir`."""
    from mindcv import build
    from mindcv.engine import Trainer, training_state

    runtime = build.start_runtime(config)
    data = build.build_training_data(config, runtime)
    classes = data.source.classes
    resumed = build.find_resumed(config, runtime)
    network = build.build_network(config, classes, runtime, is_training=True, resumed=resumed)
    average = build.build_average(config, network, classes, runtime)
    learning_rates = build.build_learning_rates(config, data.updates_per_epoch, runtime)
    optimizer = build.build_optimizer(config, network, learning_rates)
    forward = build.build_forward(config, network, classes)
    step = build.build_train_step(config, network, forward, optimizer, average, runtime)
    stop = StopRequest(speaks=runtime.is_main)
    validate, validate_ema = build.build_validations(config, network, average, runtime, stop)
    state = training_state(network, step)
    checkpoints = build.build_checkpoints(config, network, state, classes, runtime)
    history = build.build_history(config, runtime)
    trainer = Trainer(
        step,
        data,
        epochs=config.schedule.num_epochs,
        learning_rates=learning_rates,
        before_validation=build.build_statistics_exchange(config, network, average, runtime),
        validate=validate,
        validate_ema=validate_ema,
        val_interval=config.validation.val_interval,
        checkpoints=checkpoints,
        history=history,
        saving=build.build_saving(config, runtime, stop),
        rollback=build.build_rollback(config, state, data, checkpoints, history, runtime),
        log_interval=config.system.log_interval,
        sink=config.system.dataset_sink_mode and runtime.supports_sink,
    )
    steps = data.steps_per_epoch
    trainer.fit(build.build_progress(config, resumed, state, steps, checkpoints, history, runtime))
    if history is not None:
        print(history.summary())


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: train(load_config(sys.argv[1:])))


if __name__ == "__main__":
    main()
