"""Check a device: compare its numbers with a CPU's, and write a report that you can send to us.

    python -m mindcv check-device
    mpirun -n 2 python -m mindcv check-device --checks collectives backward

It needs no data set, and takes a few minutes. The exit status is 1 if a check fails.
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import get_args

from mindcv.choices import Device
from mindcv.config import Config, load_config
from mindcv.config.command_line import ProgramParser
from mindcv.errors import UserError
from mindcv.runtime.launch import detect_launch
from mindcv.runtime.program import run_program

__all__ = ["check_device"]

# All that `--checks` accepts; MindSpore is not imported while the command line is parsed.
NAMES = (
    *("dropout", "optimizers", "collectives", "forward", "backward", "evaluation"),
    *("mixed_precision", "loss_scale", "ema", "export", "digits"),
)
RECIPE = "mnasnet0.75_digits_cpu.yaml"
EPOCHS = 4  # of the short training


class CheckError(UserError):
    """A check failed, which is not a mistake of the user: the program exits with status 1."""

    status = 1


def check_device(options: argparse.Namespace) -> None:
    """Run the checks and write the report.

    Raises:
        CheckError: If a check fails.
        UserError: If the device is missing or the report cannot be written.
    """
    from mindcv import build
    from mindcv.device_check import Setting, describe, run_checks, summary_line, write_report

    runtime = build.start_runtime(config_for(options, os.devnull))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        trainer = partial(build.create_trainer, config_for(options, folder))
        setting = Setting.load(runtime, Path(folder), trainer)
        for result in run_checks(setting, options.checks, options.modes):
            results.append(result)
            if runtime.is_main:
                print(summary_line(result), flush=True)
    failed = [f"{result.name} ({result.mode})" for result in results if not result.passed]
    output = Path(options.output)
    if runtime.world_size > 1:
        output = output / f"rank{runtime.rank}"
    report, _ = write_report(output, describe(runtime), results)
    if failed:
        raise CheckError(
            f"{len(failed)} of {len(results)} checks failed: {', '.join(failed)}: see {report}, and send it"
        )
    if runtime.is_main:
        print(f"all {len(results)} checks passed: {report}")


def config_for(options: argparse.Namespace, folder: str) -> Config:
    """Return the options of the short training."""
    given = {
        "device_target": options.device_target,
        "distribute": detect_launch().world_size > 1,
        "model": "mnasnet_small",
        "epoch_size": EPOCHS,
        "ckpt_save_dir": folder,
        "num_parallel_workers": 1,
    }
    return load_config(["-c", RECIPE, *(f"--{name}={value}" for name, value in given.items())])


def parse_options() -> argparse.Namespace:
    """Parse the command line.

    Raises:
        ConfigError: If an option is unknown or a value invalid.
    """
    parser = ProgramParser(__doc__)
    parser.add_argument(
        "--device_target", choices=get_args(Device), default="auto", help="device; by default the best one"
    )
    parser.add_argument(
        "--checks", nargs="+", choices=NAMES, default=NAMES, metavar="CHECK", help=f"{', '.join(NAMES)}; all"
    )
    parser.add_argument(
        "--modes", nargs="+", choices=("graph", "pynative"), default=("graph", "pynative"), help="both"
    )
    parser.add_argument(
        "--output", default="device_report", metavar="FOLDER", help="for report.md and report.json"
    )
    return parser.parse_args()


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: check_device(parse_options()))


if __name__ == "__main__":
    main()
