"""Compare the training input of photographs with torchvision's and MindCV's.

    python -m mindcv compare-input DATA_DIR --torch venv1/bin/python --mindcv venv2/bin/python

DATA_DIR is an image folder with train/CLASS/IMAGE. Each program decodes, crops at random to --image_size, and
flips; the peers normalize to float32, and so do this project's own factories, which are the second line. Its
training, the first line, leaves that to the device. The programs take turns, pass by pass, so that all share
the machine's changes of speed.

--torch and --mindcv are the interpreters of environments with torch and torchvision, and with mindcv 0.3.0
and mindspore. Without one of them, that program is not measured.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

# MindCV's package has this one's name: its process runs this file on its own, without this package.
FILE = Path(__file__).resolve()
TRAINING, FACTORIES = "mindcv of this project", "the same, by its factories"
TORCHVISION, MINDCV = "torchvision", "MindCV"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Passes = Callable[[], Iterator[int]]  # sizes of batches


def training(options: argparse.Namespace) -> Passes:
    """Return the passes of train.py without a policy and jitter."""
    from mindcv import build
    from mindcv.config.benchmark_recipe import benchmark_config

    config = benchmark_config(
        dataset="imagenet",
        data_dir=options.data_dir,
        image_resize=options.image_size,
        batch_size=options.batch_size,
        num_parallel_workers=options.workers,
        color_jitter=None,
        drop_remainder=False,
    )
    data = build.build_training_data(config, build.start_runtime(config))
    epochs = iter(range(10**6))
    return lambda: sizes(data.epoch(next(epochs)))


def factories(options: argparse.Namespace) -> Passes:
    """Return the passes of a loader from MindCV's factories, or from this project's of the same names."""
    from mindcv.data import create_dataset, create_loader, create_transforms

    workers: Any = {"num_parallel_workers": options.workers}
    dataset = create_dataset("imagenet", options.data_dir, "train", shuffle=True, **workers)
    transforms = create_transforms("imagenet", options.image_size, is_training=True)
    loader = create_loader(
        dataset, options.batch_size, is_training=True, transform=transforms, num_classes=1000, **workers
    )
    return lambda: sizes(loader)


def sizes(loader: Any) -> Iterator[int]:
    """Yield the number of images of each batch of a MindSpore dataset."""
    for images, _ in loader.create_tuple_iterator(num_epochs=1, output_numpy=True):
        yield len(images)


def torchvision(options: argparse.Namespace) -> Passes:
    """Return torchvision's passes, with the transforms of its own ImageNet example."""
    declare_operators()
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, ToTensor

    steps = [RandomResizedCrop(options.image_size), RandomHorizontalFlip(), ToTensor(), Normalize(MEAN, STD)]
    loader = DataLoader(
        ImageFolder(str(Path(options.data_dir, "train")), Compose(steps)),
        batch_size=options.batch_size,
        shuffle=True,
        num_workers=options.workers,
        persistent_workers=True,
    )
    return lambda: (len(images) for images, _ in loader)


def declare_operators() -> None:
    """Let torchvision be imported beside a CPU build of PyTorch, for which PyPI's has no operators."""
    import torch

    if torch.version.cuda is None:
        declared = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            declared.define(f"{name}() -> ()")
        sys.modules["torchvision_operators"] = declared  # pyright: ignore[reportArgumentType]  # they last as long


def measure(options: argparse.Namespace) -> None:
    """Make one pass for each line on standard input, and print its images, seconds and CPU seconds."""
    program = {TRAINING: training, TORCHVISION: torchvision}.get(options.measure, factories)
    passes = program(options)
    for _ in sys.stdin:
        cpu, started = cpu_seconds(), perf_counter()
        images = sum(passes())
        print("measured:", json.dumps([images, perf_counter() - started, cpu_seconds() - cpu]), flush=True)


def cpu_seconds() -> float:
    """Return the CPU time of this process, its running children and its finished ones."""
    children = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
    ticks = 0
    for pid in ["self", *(pid for pids in children for pid in pids)]:
        fields = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))  # of user and system, and of children waited for
    return ticks / os.sysconf("SC_CLK_TCK")


def start(name: str, python: str, options: argparse.Namespace) -> subprocess.Popen[str]:
    """Start a program's process."""
    keys = ("image_size", "batch_size", "workers")
    given = [f"--{key}={getattr(options, key)}" for key in keys] + [f"--measure={name}"]
    run = ["-m", "mindcv.programs.compare_input"] if name in (TRAINING, FACTORIES) else ["-I", str(FILE)]
    return subprocess.Popen(
        [python, *run, *given, str(Path(options.data_dir).resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def one_pass(program: subprocess.Popen[str]) -> tuple[int, float, float]:
    """Let a program make a pass."""
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write("\n")
    program.stdin.flush()
    for line in program.stdout:
        if line.startswith("measured:"):
            return tuple(json.loads(line.removeprefix("measured:")))
    raise SystemExit(f"error: the process {program.args} ended with status {program.wait()}")


def compare(options: argparse.Namespace) -> None:
    """Measure all programs in turn, and print the medians."""
    pythons = {TRAINING: sys.executable, FACTORIES: sys.executable}
    pythons |= {TORCHVISION: options.torch, MINDCV: options.mindcv}
    programs = {name: start(name, python, options) for name, python in pythons.items() if python}
    try:
        rounds = [
            {name: one_pass(program) for name, program in programs.items()} for _ in range(options.passes + 1)
        ][1:]
    finally:
        for program in programs.values():
            program.communicate()  # its input ends, and so does it, with processes of its own
    count = rounds[0][TRAINING][0]
    print(
        f"{count} images a pass, {options.image_size} px, batch size {options.batch_size}, "
        f"{options.workers} workers: medians of {options.passes} passes"
    )
    for name in programs:
        rate = median(each[name][0] / each[name][1] for each in rounds)
        cpu = median(each[name][2] / each[name][0] for each in rounds)
        print(
            f"{name + ':':<25}{rate:>7,.0f} images/s, {1000 * cpu:.2f} ms of CPU an image; this project "
            f"delivers {ratio(rounds, name, 1):.2f}x as many a second, {ratio(rounds, name, 2):.2f}x for "
            "the same CPU time"
        )


def ratio(rounds: list[dict[str, tuple[int, float, float]]], name: str, column: int) -> float:
    """Return the median over the rounds of a program's time divided by ours, in seconds or CPU seconds."""
    return median(
        (each[name][column] / each[name][0]) / (each[TRAINING][column] / each[TRAINING][0]) for each in rounds
    )


def add_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options, and return the parser."""
    parser.add_argument("data_dir", metavar="DATA_DIR", help="image folder")
    parser.add_argument("--image_size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--batch_size", type=int, default=64, help="images of a batch")
    parser.add_argument("--workers", type=int, default=2, help="threads or processes of each program")
    parser.add_argument("--passes", type=int, default=7, help="measured passes, after one that is not")
    parser.add_argument("--torch", metavar="PYTHON", help="interpreter with torchvision")
    parser.add_argument("--mindcv", metavar="PYTHON", help="interpreter with MindCV")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    return parser


def compare_input() -> None:
    """Run the program, or one of the processes that it measures."""
    from mindcv.config.command_line import ProgramParser
    from mindcv.files.inputs import existing_folder

    options = add_options(ProgramParser(__doc__)).parse_args()
    existing_folder(options.data_dir, "imagenet", "train")
    (measure if options.measure else compare)(options)


def main() -> None:
    """Run the program with this process's command line."""
    from mindcv.runtime.program import run_program

    run_program(compare_input)


if __name__ == "__main__":
    if __spec__ is None:  # run as a file
        measure(add_options(argparse.ArgumentParser()).parse_args())
    else:
        main()
