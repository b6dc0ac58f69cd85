"""Measure the peak memory of training and of evaluation against the batch size.

    python -m mindcv measure-memory --model mnasnet_100 --image_size 224 --batch_sizes 1 8 32

Each runs in a process of its own, on synthetic images. The figure is the peak of its resident memory, with
the libraries; what it needs before the first image is printed, too.
"""

import argparse
import resource
import subprocess
import sys
from itertools import repeat

from mindcv.config import Config
from mindcv.config.benchmark_recipe import benchmark_config
from mindcv.config.command_line import ProgramParser, positive_int
from mindcv.runtime.program import run_program

KINDS = ("start", "evaluation", "training")
RESULT = "MB:"


def measure_memory(options: argparse.Namespace) -> None:
    """Measure each kind and batch size, or one of them in this process."""
    if options.kind:
        print(RESULT, peak(options))
        return
    print(f"{options.model}, {options.image_size} px: {run(options, 'start', 1):,.0f} MB without images")
    for size in options.batch_sizes:
        evaluation, training = (run(options, kind, size) for kind in KINDS[1:])
        print(f"batch size {size:>4}: {evaluation:>8,.0f} MB in evaluation, {training:>8,.0f} MB in training")


def run(options: argparse.Namespace, kind: str, batch_size: int) -> float:
    """Measure in a process of its own."""
    names = ("model", "image_size", "steps", "mode")
    given = [f"--{name}={getattr(options, name)}" for name in names]
    command = [sys.executable, "-m", "mindcv.programs.measure_memory", *given]
    command += ["--batch_sizes", str(batch_size), "--kind", kind]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    return float(done.stdout.rpartition(RESULT)[2])


def peak(options: argparse.Namespace) -> float:
    """Return the peak of this process's resident memory in MB, after some steps."""
    from mindcv import build
    from mindcv.engine.step_timing import time_steps

    config = config_for(options)
    runtime = build.start_runtime(config)
    batch = build.build_synthetic_batch(config)
    if options.kind == "training":
        step = build.build_timed_step(config, runtime, options.steps + 2)
        time_steps(step, repeat(batch), options.steps)
    elif options.kind == "evaluation":
        network = build.build_evaluated_network(config, runtime)
        time_steps(network, repeat(batch[:1]), options.steps)
    else:
        build.build_evaluated_network(config, runtime)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * 1024 / 1e6


def config_for(options: argparse.Namespace) -> Config:
    """Return the options of the training that is measured."""
    return benchmark_config(
        model=options.model,
        mode=options.mode,
        device_target="CPU",
        batch_size=options.batch_sizes[0],
        image_resize=options.image_size,
    )


def parse_options() -> argparse.Namespace:
    """Parse the command line.

    Raises:
        ConfigError: If an option is unknown or a value invalid.
    """
    parser = ProgramParser(__doc__)
    parser.add_argument("--model", default="mnasnet_100", help="a registered model")
    parser.add_argument("--image_size", type=positive_int, default=224, help="height and width in pixels")
    parser.add_argument(
        "--batch_sizes", type=positive_int, nargs="+", default=[1, 8, 32, 64], help="images per step"
    )
    parser.add_argument("--steps", type=positive_int, default=3, help="steps, after two others")
    parser.add_argument("--mode", type=int, choices=(0, 1), default=0, help="0 graph, 1 PyNative")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    config_for(options)
    return options


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: measure_memory(parse_options()))


if __name__ == "__main__":
    main()
