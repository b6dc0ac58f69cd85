"""Train a network: `python train.py -c configs/mnasnet/mnasnet0.75_gpu.yaml --data_dir /path/to/imagenet`."""

import builders
from config import Config, parse_args
from mindcv.engine import Trainer, training_state
from mindcv.runtime.interrupt import StopRequest
from mindcv.runtime.program import run_program


def train(config: Config) -> None:
    """Train as the options say; checkpoints, table and curve end up in `ckpt_save_dir`."""
    runtime = builders.start_runtime(config)
    data = builders.build_training_data(config, runtime)
    classes = data.source.classes
    resumed = builders.find_resumed(config, runtime)
    network = builders.build_network(config, classes, runtime, is_training=True, resumed=resumed)
    average = builders.build_average(config, network, classes, runtime)
    learning_rates = builders.build_learning_rates(config, data.updates_per_epoch, runtime)
    optimizer = builders.build_optimizer(config, network, learning_rates)
    forward = builders.build_forward(config, network, classes)
    step = builders.build_train_step(config, network, forward, optimizer, average, runtime)
    stop = StopRequest(speaks=runtime.is_main)
    validate, validate_ema = builders.build_validations(config, network, average, runtime, stop)
    state = training_state(network, step)
    checkpoints = builders.build_checkpoints(config, network, state, classes, runtime)
    history = builders.build_history(config, runtime)
    trainer = Trainer(
        step,
        data,
        epochs=config.schedule.epoch_size,
        learning_rates=learning_rates,
        before_validation=builders.build_statistics_exchange(config, network, average, runtime),
        validate=validate,
        validate_ema=validate_ema,
        val_interval=config.validation.val_interval,
        checkpoints=checkpoints,
        history=history,
        saving=builders.build_saving(config, runtime, stop),
        rollback=builders.build_rollback(config, state, data, checkpoints, history, runtime),
        log_interval=config.system.log_interval,
        sink=config.system.dataset_sink_mode and runtime.supports_sink,
    )
    steps = data.steps_per_epoch
    trainer.fit(builders.build_progress(config, resumed, state, steps, checkpoints, history, runtime))
    if history is not None:
        print(history.summary())


if __name__ == "__main__":
    config = parse_args()
    run_program(lambda: train(config))
