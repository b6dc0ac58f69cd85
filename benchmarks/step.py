"""Images per second of one training step on synthetic images, in graph and in PyNative mode.

    python -m benchmarks.step --model mnasnet_100 --batch_size 32 --image_size 224

Each mode runs in a process of its own, because MindSpore keeps what the first one has set up.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from itertools import repeat
from statistics import median
from time import perf_counter

import numpy as np
from mindspore import Tensor, nn

from mindcv import create_model
from mindcv.engine import NetworkWithLoss, Normalized, TrainStep
from mindcv.loss import create_loss
from mindcv.optim import create_optimizer
from mindcv.runtime.device import seed_everything, select_device
from mindcv.runtime.program import run_program

MODES = {"graph": 0, "pynative": 1}


def main() -> None:
    """Measure one mode here, or both in processes of their own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="mnasnet_100", help="a registered model")
    parser.add_argument("--batch_size", type=count, default=32, help="images in a step")
    parser.add_argument("--image_size", type=count, default=224, help="height and width in pixels")
    parser.add_argument("--steps", type=count, default=7, help="measured steps; two more come before them")
    parser.add_argument("--device_target", default="auto", choices=["auto", "CPU", "GPU", "Ascend"])
    parser.add_argument("--mode", choices=MODES, help="measure only this mode")
    options = parser.parse_args()
    if options.mode:
        run_program(lambda: print(measure(options)))
    for mode in MODES:
        command = [sys.executable, "-m", "benchmarks.step", *sys.argv[1:], "--mode", mode]
        status = subprocess.run(command).returncode
        if status:
            raise SystemExit(status)


def count(text: str) -> int:
    """A whole number from 1, as argparse wants to be told of it."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give 1 or more")
    return number


def measure(options: argparse.Namespace) -> str:
    """Time single steps, the compiling first one apart, and put the result into a line."""
    device = select_device(options.device_target, MODES[options.mode])
    seed_everything(0)
    step = build_step(options.model)
    first, *others = time_steps(
        step, repeat(synthetic_batch(options.batch_size, options.image_size)), options.steps
    )
    typical = median(others)
    return (
        f"{options.model}, {options.image_size} px, batch {options.batch_size}, {device}, {options.mode}: "
        f"{options.batch_size / typical:.1f} images/s ({1000 * typical:.0f} ms a step, median of "
        f"{options.steps}; the first took {first:.1f} s)"
    )


def build_step(model: str, ranks: int = 1) -> TrainStep:
    """The training step of the ImageNet recipes, for one rank or for one of several."""
    network = create_model(model, num_classes=1000)
    optimizer = create_optimizer(network, "rmsprop", lr=0.001, eps=1e-3)
    normalized = Normalized(network, [123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    reduce = nn.DistributedGradReducer(optimizer.parameters, mean=True, degree=ranks) if ranks > 1 else None
    forward = NetworkWithLoss(normalized, create_loss("CE", label_smoothing=0.1))
    return TrainStep(forward, optimizer, reduce=reduce).set_train()


def time_steps(step: TrainStep, batches: Iterator[tuple[Tensor, Tensor]], count: int) -> list[float]:
    """Seconds of the first step, which compiles, and of `count` steps after one more; input included."""
    seconds = []
    for _ in range(count + 2):
        started = perf_counter()
        images, labels = next(batches)
        step(images, labels).asnumpy()
        seconds.append(perf_counter() - started)
    return [seconds[0], *seconds[2:]]


def synthetic_batch(batch_size: int, image_size: int) -> tuple[Tensor, Tensor]:
    """Random uint8 images of shape [N, 3, H, W] and labels of shape [N]."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch_size, 3, image_size, image_size), dtype=np.uint8)
    labels = random.integers(0, 1000, batch_size, dtype=np.int32)
    return Tensor(images), Tensor(labels)


if __name__ == "__main__":
    main()
