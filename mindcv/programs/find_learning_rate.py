"""Find a learning rate for a recipe: train briefly with a rising one, and see where the loss falls fastest.

    python -m mindcv find-learning-rate -c configs/mnasnet/mnasnet0.75_gpu.yaml --data_dir /path/to/imagenet

It has all options of train.py and three of its own. Table and plot are written to `ckpt_save_dir`; the
trained weights are discarded. All rates are values of the option `lr`, which `lr_scale` still multiplies.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mindcv.config import Config, load_config
from mindcv.config.command_line import ProgramParser, positive_int
from mindcv.errors import UserError, one_line
from mindcv.files.inputs import existing_split
from mindcv.runtime.program import run_program

if TYPE_CHECKING:
    from mindcv.engine.lr_finder import RangeTest


def find_learning_rate(config: Config, options: argparse.Namespace) -> None:
    """Run a range test, and report it."""
    existing_split(config.dataset.root, config.dataset.name, config.dataset.train_split)
    import numpy as np

    from mindcv import build
    from mindcv.engine.checkpoint import prepare_folder
    from mindcv.engine.lr_finder import exponential_rates, run_range_test

    rates = exponential_rates(options.lowest_lr, options.highest_lr, options.steps)
    runtime, folder = build.start_runtime(config), Path(config.checkpoint.folder)
    if runtime.is_main:
        prepare_folder(folder)
    data = build.build_training_data(config, runtime)
    classes = data.source.classes
    network = build.build_network(config, classes, runtime, is_training=True)
    forward = build.build_forward(config, network, classes)
    factor = build.learning_rate_factor(config, runtime)
    optimizer = build.build_optimizer(config, network, [factor * rate for rate in rates])
    build.broadcast_initial_values(network, optimizer, runtime)
    test = run_range_test(
        build.build_train_step(config, network, forward, optimizer, None, runtime),
        data,
        rates,
        combine=lambda loss: float(runtime.sum_over_ranks(np.array([loss]))[0]) / runtime.world_size,
        silent=not runtime.is_main,
    )
    if runtime.is_main:
        report(test, folder, options.lowest_lr)


def report(test: "RangeTest", folder: Path, lowest_lr: float) -> None:
    """Write table and plot, and print the suggested learning rate."""
    if not test.losses:
        raise UserError(f"the loss is NaN or infinite at lowest_lr={lowest_lr:g} already: check the recipe")
    table, plot = test.write(folder)
    if test.suggestion is None:
        raise UserError(
            f"the loss does not fall from lr={test.rates[0]:.3g} to lr={test.rates[-1]:.3g}, see {plot}: "
            "lower lowest_lr or give more steps"
        )
    print(test.suggestion)
    print(one_line(f"curve: {plot}   table: {table}"))


def parse_options() -> tuple[Config, argparse.Namespace]:
    """Parse this program's own options and those of train.py."""
    parser = ProgramParser(__doc__)
    parser.add_argument("--lowest_lr", type=float, default=1e-6, help="learning rate of the first step")
    parser.add_argument("--highest_lr", type=float, default=10.0, help="learning rate of the last step")
    parser.add_argument("--steps", type=positive_int, default=100, help="steps; fewer if the loss explodes")
    options, others = parser.parse_known_args()
    return load_config(others), options


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: find_learning_rate(*parse_options()))


if __name__ == "__main__":
    main()
