"""Compare the training input with torchvision's and MindCV's: `python -m tools.compare_input DATA_DIR`.

DATA_DIR is an image folder with train/CLASS/IMAGE. Each program decodes, crops at random to --image_size, and
flips; the peers normalize to float32, and so does the second line of this project, whose own programs leave
that to the device. The programs take turns, pass by pass, so that all share the machine's changes of speed.

--torch and --mindcv are the Python interpreters of environments in which torch and torchvision, and
mindcv 0.3.0 and mindspore, are installed; without one of them, that program is not measured.
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

ROOT = Path(__file__).resolve().parents[1]
OURS = ("mindcv of this project", "the same, normalized")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def ours(options: argparse.Namespace, *, normalize: bool = False) -> Callable[[], Iterator[int]]:
    """Return this project's passes, as sizes of batches."""
    from mindcv.data import Pipeline, create_source, create_transforms

    data = Pipeline(
        source=create_source("imagenet", options.data_dir, "train"),
        transform=create_transforms("imagenet", options.image_size, True, normalize=normalize),
        batch_size=options.batch_size,
        is_training=True,
        num_parallel_workers=options.workers,
    )
    epochs = iter(range(10**6))
    return lambda: (
        len(images)
        for images, _ in data.epoch(next(epochs)).create_tuple_iterator(num_epochs=1, output_numpy=True)
    )


def torchvision(options: argparse.Namespace) -> Callable[[], Iterator[int]]:
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


def mindcv(options: argparse.Namespace) -> Callable[[], Iterator[int]]:
    """Return MindCV's passes, from its factories with their defaults."""
    from mindcv.data import create_dataset, create_loader, create_transforms

    workers: Any = {"num_parallel_workers": options.workers}
    dataset = create_dataset("imagenet", options.data_dir, "train", shuffle=True, **workers)
    transforms = create_transforms("imagenet", options.image_size, is_training=True)
    loader = create_loader(dataset, options.batch_size, is_training=True, transform=transforms, **workers)
    return lambda: (
        len(images) for images, _ in loader.create_tuple_iterator(num_epochs=1, output_numpy=True)
    )


def measure(options: argparse.Namespace) -> None:
    """Make one pass for each line on standard input, and print its images, seconds and CPU seconds."""
    passes = {
        OURS[0]: lambda: ours(options),
        OURS[1]: lambda: ours(options, normalize=True),
        "torchvision": lambda: torchvision(options),
        "MindCV": lambda: mindcv(options),
    }[options.measure]()
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
    """Start a program's process: MindCV's package has this project's name, so it starts elsewhere."""
    given = [f"--{key}={getattr(options, key)}" for key in ("image_size", "batch_size", "workers")]
    command = [*given, f"--measure={name}", str(Path(options.data_dir).resolve())]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    file = [str(Path(__file__).resolve())]
    if name in OURS:
        file, environment = ["-m", "tools.compare_input"], {**environment, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [python, *file, *command],
        cwd=ROOT if name in OURS else "/",
        env=environment,
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
    raise SystemExit(f"{program.args} ended with {program.wait()}")


def compare(options: argparse.Namespace) -> None:
    """Measure all programs in turn, and print the medians."""
    pythons = {OURS[0]: sys.executable, OURS[1]: sys.executable}
    pythons |= {"torchvision": options.torch} if options.torch else {}
    pythons |= {"MindCV": options.mindcv} if options.mindcv else {}
    programs = {name: start(name, python, options) for name, python in pythons.items()}
    try:
        rounds = [
            {name: one_pass(program) for name, program in programs.items()} for _ in range(options.passes + 1)
        ][1:]
    finally:
        for program in programs.values():
            program.kill()
            program.wait()
    count = rounds[0][OURS[0]][0]
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
        (each[name][column] / each[name][0]) / (each[OURS[0]][column] / each[OURS[0]][0]) for each in rounds
    )


def main() -> None:
    """Run the program with this process's command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", metavar="DATA_DIR", help="image folder")
    parser.add_argument("--image_size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--batch_size", type=int, default=64, help="images of a batch")
    parser.add_argument("--workers", type=int, default=2, help="threads or processes of each program")
    parser.add_argument("--passes", type=int, default=7, help="measured passes, after one that is not")
    parser.add_argument("--torch", metavar="PYTHON", help="interpreter with torchvision")
    parser.add_argument("--mindcv", metavar="PYTHON", help="interpreter with MindCV")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    (measure if options.measure else compare)(options)


if __name__ == "__main__":
    main()
