"""Images per second of one and of two ranks, a core each, and how much of the second one is gained.

    python -m tools.measure_scaling --model mnasnet_100 --batch_size 32 --image_size 224

On synthetic images and on real ones: by default scikit-learn's digits. The ratio is what
counts; both runs take turns, so that a drifting machine disturbs both alike.
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
from typing import Any

from mindcv import build
from mindcv.config import Config
from mindcv.config.command_line import count
from mindcv.engine.step_timing import time_steps
from mindcv.runtime.program import run_program
from mindcv.runtime.session import Runtime

RANKS = (1, 2)
RESULT = "images/s:"


def measure_scaling() -> None:
    """Measure both numbers of ranks in turn and print the efficiency."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="mnasnet_100", help="a registered model")
    parser.add_argument("--batch_size", type=count, default=32, help="images of a step on one rank")
    parser.add_argument("--image_size", type=count, default=224, help="height and width in pixels")
    parser.add_argument(
        "--steps", type=count, default=5, help="measured steps of a run; two more come before them"
    )
    parser.add_argument("--repeats", type=count, default=3, help="runs of each kind, in turn")
    parser.add_argument("--mode", type=int, choices=(0, 1), default=0, help="0 graph, 1 PyNative")
    parser.add_argument("--data_dir", help="folder of the real images; without it a temporary one")
    parser.add_argument("--dataset", default="digits", help="kind of dataset in data_dir")
    parser.add_argument("--input", choices=("synthetic", "real"), help=argparse.SUPPRESS)
    options = parser.parse_args()
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
        f"{options.model}, {options.image_size} px, batch {options.batch_size} a rank, {kind} input: "
        f"1 rank {one:.2f} images/s, 2 ranks {two:.2f} images/s, efficiency {two / (2 * one):.2f} "
        f"(medians of {options.repeats} runs of {options.steps} steps)",
        flush=True,
    )


def run(ranks: int, arguments: list[str]) -> float:
    """Start the ranks, each bound to a core of its own, and read rank 0's result."""
    mpirun = Path(sys.executable).parent / "mpirun"
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    launcher = [str(mpirun), *root, "-n", str(ranks), "--bind-to", "core"]
    command = [*launcher, sys.executable, "-m", "mindcv.programs.measure_scaling", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return float(output.split(RESULT)[1].split()[0])


def measure(options: argparse.Namespace) -> None:
    """Be one rank: take steps, and let rank 0 print the images per second of all ranks."""
    given = {} if options.input == "synthetic" else {"dataset": options.dataset, "data_dir": options.data_dir}
    config = build.benchmark_config(
        model=options.model,
        batch_size=options.batch_size,
        image_resize=options.image_size,
        mode=options.mode,
        device_target="CPU",
        distribute=True,
        num_parallel_workers=1,
        **given,
    )
    runtime = build.start_runtime(config)
    step = build.build_timed_step(config, runtime, options.steps + 2)
    synthetic = options.input == "synthetic"
    batches = repeat(build.build_synthetic_batch(config)) if synthetic else real_batches(config, runtime)
    seconds = time_steps(step, batches, options.steps).typical
    if runtime.is_main:
        print(RESULT, runtime.world_size * options.batch_size / seconds, flush=True)


def real_batches(config: Config, runtime: Runtime) -> Iterator[tuple[Any, ...]]:
    """Augmented images from the disk, epoch after epoch."""
    data = build.build_training_data(config, runtime)
    for epoch in numbers():
        yield from data.epoch(epoch).create_tuple_iterator(num_epochs=1)


def main() -> None:
    """Run the program with this process's command line."""
    run_program(measure_scaling)


if __name__ == "__main__":
    main()
