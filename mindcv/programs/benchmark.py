"""Benchmark models and write a table: `python -m mindcv benchmark --models mnasnet_075 mnasnet_100`.

For each model: parameters, MACs, training images/s and seconds per epoch, inference in ms, in graph and in
PyNative mode. Each runs in a process of its own, because MindSpore keeps settings of the first one.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from itertools import repeat
from typing import get_args

from mindcv.choices import AmpLevel, Device
from mindcv.config import Config
from mindcv.config.benchmark_recipe import benchmark_config
from mindcv.config.command_line import ProgramParser, positive_int
from mindcv.errors import printable
from mindcv.report.benchmark_table import (
    MODES,
    Environment,
    Measurement,
    ModelResult,
    describe_machine,
    write_results,
)
from mindcv.runtime.program import run_program

FAMILY = ("mnasnet_050", "mnasnet_075", "mnasnet_100", "mnasnet_130", "mnasnet_140")
RESULT = "measured:"


def benchmark(options: argparse.Namespace) -> None:
    """Measure every model in every mode, and write the table."""
    from mindcv import build

    costs = {model: build.count_costs(config_for(options, model)) for model in options.models}
    results, device = [], ""
    for model, (parameters, macs) in costs.items():
        modes = {}
        for mode in options.modes:
            device, modes[mode] = run(options, model, mode)
            rate = options.batch_size / modes[mode].train_seconds
            print(f"{model}, {mode}: {rate:.1f} images/s in training", file=sys.stderr, flush=True)
        results.append(ModelResult(model=model, parameters=parameters, macs=macs, modes=modes))
    environment = Environment(
        device=device,
        batch_size=options.batch_size,
        image_size=options.image_size,
        precision="float32" if options.amp_level == "O0" else f"float16 by amp_level {options.amp_level}",
        images=options.images,
        repeats=options.repeats,
        date=date.today().isoformat(),
        **describe_machine(),
    )
    paths = write_results(options.output, results, environment)
    print(paths[0].read_text(encoding="utf-8"), *map(printable, map(str, paths)), sep="\n")


def run(options: argparse.Namespace, model: str, mode: str) -> tuple[str, Measurement]:
    """Measure one model in one mode in a process of its own; return the device, too."""
    names = ("batch_size", "image_size", "amp_level", "repeats", "device_target")
    given = [f"--{name}={getattr(options, name)}" for name in names]
    command = [
        sys.executable,
        "-m",
        "mindcv.programs.benchmark",
        *given,
        f"--models={model}",
        f"--measure={mode}",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    device, times = json.loads(done.stdout.rpartition(RESULT)[2])
    return device, Measurement(**times)


def measure(options: argparse.Namespace) -> None:
    """Measure in this process, and print the times for the process that started it."""
    from mindcv import build
    from mindcv.engine.step_timing import time_steps

    config = config_for(options, options.models[0], mode=MODES[options.measure])
    runtime, repeats = build.start_runtime(config), options.repeats
    batch = build.build_synthetic_batch(config)
    step = build.build_timed_step(config, runtime, repeats + 2)
    training = time_steps(step, repeat(batch), repeats)
    network = build.build_evaluated_network(config, runtime)
    one, many = (time_steps(network, repeat((images,)), repeats) for images in (batch[0][:1], batch[0]))
    times = Measurement(
        train_seconds=training.typical,
        infer_seconds_1=one.typical,
        infer_seconds_batch=many.typical,
        first_step_seconds=training.first,
    )
    print(RESULT, json.dumps([runtime.device, asdict(times)]))


def config_for(options: argparse.Namespace, model: str, mode: int = 0) -> Config:
    """Return the options of the training that is measured."""
    return benchmark_config(
        model=model,
        mode=mode,
        device_target=options.device_target,
        batch_size=options.batch_size,
        image_resize=options.image_size,
        amp_level=options.amp_level,
        val_amp_level=options.amp_level,
    )


def parse_options() -> argparse.Namespace:
    """Parse the command line.

    Raises:
        ConfigError: If an option is unknown or a value invalid.
    """
    parser = ProgramParser(__doc__)
    parser.add_argument("--models", nargs="+", default=FAMILY, metavar="MODEL", help="registered models")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=[*MODES], help="by default both")
    parser.add_argument("--batch_size", type=positive_int, default=32, help="images per step")
    parser.add_argument("--image_size", type=positive_int, default=224, help="height and width in pixels")
    parser.add_argument(
        "--images", type=positive_int, default=1281167, help="images per epoch; ImageNet has 1281167"
    )
    parser.add_argument("--amp_level", choices=get_args(AmpLevel), default="O0", help="precision")
    parser.add_argument(
        "--repeats", type=positive_int, default=7, help="measured steps, after two warm-up steps"
    )
    parser.add_argument("--device_target", choices=get_args(Device), default="auto")
    parser.add_argument(
        "--output", default="results", metavar="DIR", help="folder for results.md, .csv, .json"
    )
    parser.add_argument("--measure", choices=MODES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    config_for(options, options.models[0])
    return options


def run_options(options: argparse.Namespace) -> None:
    """Run the benchmark, or one of its measurements."""
    if options.measure:
        measure(options)
    else:
        benchmark(options)


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: run_options(parse_options()))


if __name__ == "__main__":
    main()
