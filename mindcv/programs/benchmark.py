"""Measure the family and write its table: `python benchmark.py --models mnasnet_075 mnasnet_100`.

For each network: parameters, multiplications, training images/s and seconds an epoch, inference in ms, in
graph and in PyNative mode. Each runs in a process of its own, because MindSpore keeps what the first one has
set up.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from itertools import repeat

from mindcv import build
from mindcv.config import Config, ConfigError, refuse
from mindcv.config.command_line import count
from mindcv.engine.step_timing import time_steps
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
    """Measure every network in every mode, and write the table."""
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
    print(paths[0].read_text(encoding="utf-8"), *paths, sep="\n")


def run(options: argparse.Namespace, model: str, mode: str) -> tuple[str, Measurement]:
    """Measure one network in one mode in a process of its own; return the device, too."""
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
    """Be such a process."""
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
    """The options of train.py that are measured."""
    return build.benchmark_config(
        model=model,
        mode=mode,
        device_target=options.device_target,
        batch_size=options.batch_size,
        image_resize=options.image_size,
        amp_level=options.amp_level,
        val_amp_level=options.amp_level,
    )


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--models", nargs="+", default=FAMILY, metavar="MODEL", help="registered models")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=[*MODES], help="by default both")
    parser.add_argument("--batch_size", type=count, default=32, help="images of a step")
    parser.add_argument("--image_size", type=count, default=224, help="height and width in pixels")
    parser.add_argument("--images", type=count, default=1281167, help="of an epoch; ImageNet has 1281167")
    parser.add_argument("--amp_level", choices=("O0", "O1", "O2", "O3"), default="O0", help="precision")
    parser.add_argument("--repeats", type=count, default=7, help="measured steps; two come before them")
    parser.add_argument("--device_target", choices=("auto", "CPU", "GPU", "Ascend"), default="auto")
    parser.add_argument("--output", default="results", metavar="DIR", help="receives results.md, .csv, .json")
    parser.add_argument("--measure", choices=MODES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run the program with this process's command line."""
    options = parse_options()
    try:
        config_for(options, options.models[0])
    except ConfigError as error:
        refuse(str(error))
    run_program(lambda: measure(options) if options.measure else benchmark(options))


if __name__ == "__main__":
    main()
