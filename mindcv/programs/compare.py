"""Compare the speed on this CPU with other libraries: `python -m mindcv compare --mindcv OTHER/bin/python`.

Each line of the table is a task. Its contestants run in processes of their own and take turns, so that a
drift of the machine's speed affects all alike; the figures are medians. PyTorch and timm are measured if this
environment has them, MindCV if --mindcv names an interpreter that has it.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import date
from pathlib import Path
from statistics import median
from time import monotonic

from mindcv.config.command_line import ProgramParser, positive_int
from mindcv.errors import UserError
from mindcv.report.comparison_table import Comparison, Job, describe_environment, write_comparison
from mindcv.runtime.program import run_program

JOBS = {
    "train-224": Job(task="train", model="mnasnet_100", size=224, batch=32),
    "train-48": Job(task="train", model="mnasnet_075", size=48, batch=32),
    "train-32": Job(task="train", model="mnasnet_075", size=32, batch=128),
    "infer-1": Job(task="infer", model="mnasnet_100", size=224, batch=1),
    "infer-32": Job(task="infer", model="mnasnet_100", size=224, batch=32),
}
TRAINING = ("graph", "pynative", "torch", "torch_channels_last", "mindcv")
ALL = (*TRAINING, "onnx")
OWN = ("graph", "pynative", "onnx")
MODULE = "mindcv.build.contestant"
PACKAGES = {"onnx": "onnxruntime", "torch": "timm", "torch_channels_last": "timm"}


class Contestant:
    """A process that measures one library.

    Args:
        name: A key of `mindcv.build.contestant.STEPS`.
        job: What it measures.
        interpreter: Of MindCV.
    """

    def __init__(self, name: str, job: Job, interpreter: str | None) -> None:
        self.name = name
        self.seconds: list[float] = []
        environment = dict(os.environ)
        command = [sys.executable, "-m", MODULE]
        if name not in OWN:
            # Importing our package would change oneDNN's settings, and hide MindCV, which has its name.
            environment.pop("PYTHONPATH", None)
            source = Path(__file__).parents[1] / "build" / "contestant.py"
            python = str(interpreter) if name == "mindcv" else sys.executable
            command = [python, "-c", source.read_text(encoding="utf-8")]
        self.folder = None if name in OWN else tempfile.TemporaryDirectory()
        try:
            self.process = subprocess.Popen(
                [*command, name, json.dumps(asdict(job))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment,
                cwd=self.folder.name if self.folder else None,
            )
        except OSError as error:
            if self.folder:
                self.folder.cleanup()
            raise UserError(f"--mindcv {interpreter}: {error.strerror}: name an interpreter") from None
        try:
            self._answer("ready")
        except UserError:
            self.close()
            raise

    def measure(self) -> None:
        """Let it take steps."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seconds.append(float(self._answer("seconds:")))

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        if self.folder:
            self.folder.cleanup()

    def _answer(self, start: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return line.removeprefix(start).strip()
        raise UserError(f"{self.name} ended before it was measured: leave it out, or run {MODULE} to see why")


def compare(options: argparse.Namespace) -> None:
    """Measure all lines, and write the table after each."""
    results: list[Comparison] = []
    for line in options.lines:
        job = JOBS[line]
        results.append(measure(job, contestants(job, options), options))
        print(f"{job}: measured in {results[-1].rounds} rounds", file=sys.stderr, flush=True)
        environment = describe_environment(date.today().isoformat(), options.mindcv)
        paths = write_comparison(options.output, results, environment)
    print(paths[0].read_text(encoding="utf-8"), *paths, sep="\n")


def contestants(job: Job, options: argparse.Namespace) -> list[str]:
    """Return who can be measured here."""
    names = TRAINING if job.task == "train" else ALL
    names = [name for name in names if name in (*options.contestants, "graph")]
    found = [name for name in names if importlib.util.find_spec(PACKAGES.get(name, "mindcv"))]
    return [name for name in found if options.mindcv or name != "mindcv"]


def measure(job: Job, names: list[str], options: argparse.Namespace) -> Comparison:
    """Let the contestants take turns until there are enough rounds, or the time is up."""
    started = monotonic()
    running: list[Contestant] = []
    rounds = 0
    try:
        running += [Contestant(name, job, options.mindcv) for name in names]
        while rounds < options.repeats and (rounds == 0 or monotonic() - started < options.seconds):
            for each in running:
                each.measure()
            rounds += 1
    finally:
        for each in running:
            each.close()
    seconds = {each.name: median(each.seconds) for each in running}
    return Comparison(line=str(job), batch=job.batch, rounds=rounds, seconds=seconds)


def parse_options() -> argparse.Namespace:
    """Parse the command line.

    Raises:
        ConfigError: If an option is unknown or a value invalid.
    """
    parser = ProgramParser(__doc__)
    parser.add_argument("--lines", nargs="+", choices=JOBS, default=[*JOBS], help="by default all")
    parser.add_argument(
        "--contestants", nargs="+", choices=ALL, default=ALL, help="besides graph; by default all"
    )
    parser.add_argument("--mindcv", metavar="PYTHON", help="an interpreter with MindCV installed")
    parser.add_argument("--repeats", type=positive_int, default=7, help="rounds of each line")
    parser.add_argument("--seconds", type=positive_int, default=200, help="no new round of a line after it")
    parser.add_argument(
        "--output", default="comparison", metavar="DIR", help="folder for comparison.md, .json"
    )
    return parser.parse_args()


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: compare(parse_options()))


if __name__ == "__main__":
    main()
