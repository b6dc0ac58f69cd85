"""Train a network: `python train.py -c configs/mnasnet/mnasnet0.75_gpu.yaml --data_dir /path/to/imagenet`."""

import build
from config import Config, parse_args
from mindcv.engine import Trainer
from mindcv.runtime.program import run_program


def train(config: Config) -> None:
    """Train as the options say; checkpoints, table and curve end up in `ckpt_save_dir`."""
    runtime = build.start_runtime(config)
    data = build.build_training_data(config, runtime)
    classes = data.source.classes
    network = build.build_network(config, classes, runtime)
    learning_rates = build.build_learning_rates(config, data.steps_per_epoch, runtime)
    optimizer = build.build_optimizer(config, network, learning_rates)
    evaluation = None
    if config.validation.val_while_train:
        validation_data = build.build_validation_data(config, runtime)
        evaluation = build.build_evaluation(config, network, validation_data, runtime)
    checkpoints = build.build_checkpoints(config, network, optimizer, classes, runtime)
    history = build.build_history(config, runtime)
    trainer = Trainer(
        build.build_train_step(config, network, optimizer, runtime),
        data,
        epochs=config.schedule.epoch_size,
        learning_rates=learning_rates,
        before_validation=build.build_statistics_exchange(config, network, runtime),
        validate=evaluation,
        val_interval=config.validation.val_interval,
        checkpoints=checkpoints,
        history=history,
        log_interval=config.system.log_interval,
        sink=config.system.dataset_sink_mode and runtime.supports_sink,
    )
    trainer.fit()
    if history is not None:
        print(history.summary())


if __name__ == "__main__":
    config = parse_args()
    run_program(lambda: train(config))
