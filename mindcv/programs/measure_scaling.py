"""Measure the images per second of one and of two ranks, one core each, and the scaling efficiency.

    python -m mindcv measure-scaling --model mnasnet_100 --batch_size 32 --image_size 224

It uses synthetic images and real ones, by default scikit-learn's digits. The runs with one and two ranks
alternate, so that a drift of the machine's speed affects both alike.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count as numbers
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, get_args

from mindcv.choices import Dataset
from mindcv.config import Config
from mindcv.config.benchmark_recipe import benchmark_config
from mindcv.config.command_line import ProgramParser, positive_int
from mindcv.runtime.program import run_program

if TYPE_CHECKING:
    from mindcv.runtime.session import Runtime

RANKS = (1, 2)
RESULT = "images/s:"


def parse_options() -> argparse.Namespace:
    """Parse the command line.

    Raises:
        ConfigError: If an option is unknown or a value invalid.
    """
    parser = ProgramParser(__doc__)
    parser.add_argument("--model", default="mnasnet_100", help="a registered model")
    parser.add_argument("--batch_size", type=positive_int, default=32, help="images per step and rank")
    parser.add_argument("--image_size", type=positive_int, default=224, help="height and width in pixels")
    parser.add_argument(
        "--steps", type=positive_int, default=5, help="measured steps of a run, after two warm-up steps"
    )
    parser.add_argument("--repeats", type=positive_int, default=3, help="runs of each kind")
    parser.add_argument("--mode", type=int, choices=(0, 1), default=0, help="0 graph, 1 PyNative")
    parser.add_argument("--data_dir", help="folder of the real images; by default a temporary one")
    parser.add_argument(
        "--dataset", choices=get_args(Dataset), default="digits", help="kind of dataset in data_dir"
    )
    parser.add_argument("--input", choices=("synthetic", "real"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    config_for(options)
    return options


def measure_scaling(options: argparse.Namespace) -> None:
    """Measure both numbers of ranks in turn and print the efficiency."""
    if options.input:
        measure(options)
        return
    for kind in ("synthetic", "real"):
        report(options, kind)


def report(options: argparse.Namespace, kind: str) -> None:
    """Run one and two ranks in turn and print the medians and their ratio."""
    rates: dict[int, list[float]] = {ranks: [] for ranks in RANKS}
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*sys.argv[1:], "--input", kind, "--data_dir", options.data_dir or folder]
        for _ in range(options.repeats):
            for ranks in RANKS:
                rates[ranks].append(run(ranks, arguments))
    one, two = (median(rates[ranks]) for ranks in RANKS)
    print(
        f"{options.model}, {options.image_size} px, batch size {options.batch_size} per rank, {kind} input: "
        f"1 rank {one:.2f} images/s, 2 ranks {two:.2f} images/s, efficiency {two / (2 * one):.2f} "
        f"(medians of {options.repeats} runs of {options.steps} steps)",
        flush=True,
    )


def run(ranks: int, arguments: list[str]) -> float:
    """Start the ranks, each bound to its own core, and read the result of rank 0."""
    mpirun = Path(sys.executable).parent / "mpirun"
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    launcher = [str(mpirun), *root, "-n", str(ranks), "--bind-to", "core"]
    command = [*launcher, sys.executable, "-m", "mindcv.programs.measure_scaling", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return float(output.split(RESULT)[1].split()[0])


def measure(options: argparse.Namespace) -> None:
    """Run as one rank: take steps; rank 0 prints the images per second of all ranks."""
    from mindcv import build
    from mindcv.engine.step_timing import time_steps

    config = config_for(options)
    runtime = build.start_runtime(config)
    step = build.build_timed_step(config, runtime, options.steps + 2)
    synthetic = options.input == "synthetic"
    batches = repeat(build.build_synthetic_batch(config)) if synthetic else real_batches(config, runtime)
    seconds = time_steps(step, batches, options.steps).typical
    if runtime.is_main:
        print(RESULT, runtime.world_size * options.batch_size / seconds, flush=True)


def config_for(options: argparse.Namespace) -> Config:
    """Return the options of the training that is measured."""
    real = {"dataset": options.dataset, "data_dir": options.data_dir} if options.input == "real" else {}
    return benchmark_config(
        model=options.model,
        batch_size=options.batch_size,
        image_resize=options.image_size,
        mode=options.mode,
        device_target="CPU",
        distribute=True,
        num_parallel_workers=1,
        **real,
    )


def real_batches(config: Config, runtime: "Runtime") -> Iterator[tuple[Any, ...]]:
    """Yield augmented images from the disk, epoch after epoch."""
    from mindcv import build

    data = build.build_training_data(config, runtime)
    for epoch in numbers():
        yield from data.epoch(epoch).create_tuple_iterator(num_epochs=1)


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: measure_scaling(parse_options()))


if __name__ == "__main__":
    main()
