"""Programs that are disturbed at calls that change files, and started again; see `tests.support.boundaries`.

Started with a folder, a program, a disturbance, and the number of calls to try (0 for all), it prints what
went wrong.
"""

import csv
import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

import mindcv.build  # noqa: F401, so that a forked process need not import it
from mindcv.config import load_config
from mindcv.files.checkpoint_file import read_checkpoint
from mindcv.models import MnasNet, register_model
from mindcv.models.inverted_residual import Stage
from mindcv.programs import average_checkpoints, convert, export, train
from tests.support.boundaries import attempt, damaged, trials

STAGES = (
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=2, channels=8, blocks=1, stride=2, kernel=3),
)
MODES = {"graph": 0, "pynative": 1}
AT_RANDOM = -1
EPOCHS = 2
OPTIONS = {
    **{"model": "killed_tiny", "device_target": "CPU", "image_resize": 16, "batch_size": 4, "lr": 0.05},
    **{"num_parallel_workers": 1, "opt": "momentum", "epoch_size": EPOCHS, "warmup_epochs": 0},
    **{"ema": True, "drop_rate": 0.2, "mixup": 0.2, "val_while_train": True, "resume": "auto"},
    **{"ckpt_save_steps": 1, "keep_checkpoint_max": 1, "bn_momentum": 0.5},
}
TIMED = ("train_seconds", "val_seconds", "images_per_second")
OUTPUTS = {  # program, what it writes, and its arguments
    "onnx": (export, "net.onnx", ("--format", "onnx", "--ckpt_path", "{best}", "--output", "{output}")),
    "mindir": (export, "net.mindir", ("--format", "mindir", "--ckpt_path", "{best}", "--output", "{output}")),
    "ckpt": (convert, "net.ckpt", ("{best}", "{output}")),
    "safetensors": (convert, "net.safetensors", ("{best}", "{output}", "--layout", "mindcv")),
    "pth": (convert, "net.pth", ("{best}", "{output}", "--layout", "mindcv")),
    "average": (average_checkpoints, "mean.ckpt", ("{best}", "{last}", "--output", "{output}")),
}


@register_model(options_of=MnasNet)
def killed_tiny(**options):
    """The smallest network with all kinds of layers."""
    return MnasNet(STAGES, 1.0, 8, **options)


def make_images(root: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 3)):
        for name in "ab":
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 200, (20, 20, 3)) + 50 * (name == "a")
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{i}.png")


def train_in(images: Path, mode: int, folder: Path) -> None:
    options = {**OPTIONS, "mode": mode, "data_dir": images, "ckpt_save_dir": folder}
    train.train(load_config([word for name, value in options.items() for word in (f"--{name}", str(value))]))


def files_of_run(folder: Path) -> dict[str, str]:
    """Return what a run has left, except what differs between any two runs: times, and the run's id."""
    found = {path.name: "" for path in folder.iterdir()}
    for path in folder.glob("*.ckpt"):
        read = read_checkpoint(path)
        tensors = {name: value.tobytes().hex() for name, value in read.tensors.items()}
        results = [without_times(result) for result in read.metadata["progress"]["results"]]
        found[path.name] = json.dumps([tensors, read.metadata["epoch"], read.metadata["top1"], results])
    if "history.csv" in found:
        with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
            found["history.csv"] = json.dumps([without_times(row) for row in csv.DictReader(file)])
    return found


def without_times(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in TIMED}


def drawn(count: int, calls: int) -> Iterable[int]:
    """The calls to try: all, or as many as asked for, one from each stretch of the run."""
    if count == 0:
        return range(1, calls + 1)
    draw, edges = random.Random(count), np.linspace(1, calls + 1, count + 1, dtype=int)
    return [draw.randrange(low, high) for low, high in pairwise(edges)]


def run_program(program, words: tuple[str, ...], output: str, best: Path, folder: Path) -> None:
    """Run a program as its command line does."""
    last = best.with_name(f"killed_tiny-{EPOCHS}.ckpt")
    filled = [word.format(best=best, last=last, output=folder / output) for word in words]
    sys.argv = ["program", *filled]
    if program is export:
        program.run(*program.parse_options())
    else:
        work: Callable = program.convert if program is convert else program.average
        work(program.parse_options())


def try_output(root: Path, kind: str, mode: int, chosen: Callable, images: Path) -> tuple[int, list[str]]:
    """End a program that writes one file in place of another: at each moment it is one of them."""
    program, output, words = OUTPUTS[kind]
    run, old = root / "run", b"an earlier file"
    run.mkdir()
    trained = attempt(partial(train_in, images, 1), run)
    assert trained.how == "finished", trained
    work = partial(run_program, program, words, output, run / "killed_tiny_best.ckpt")
    new = root / "new"
    new.mkdir()
    written = attempt(work, new)
    assert written.how == "finished", written
    whole = {old, (new / output).read_bytes()}

    def before(folder: Path) -> None:
        folder.mkdir()
        (folder / output).write_bytes(old)

    def half(folder: Path) -> list[str]:
        return [] if (folder / output).read_bytes() in whole else [f"{output} is neither old nor new"]

    def content(folder: Path) -> dict[str, str]:
        return {path.name: path.read_bytes().hex()[:9000] for path in folder.iterdir()}

    return trials(work, content, half, root, mode, before=before, chosen=chosen)


def kill_at_random(root: Path, images: Path, mode: int, count: int) -> tuple[int, list[str]]:
    """Kill runs at random moments, and resume each until it ends."""
    work, folder, wrong, kills = partial(train_in, images, mode), root / "work", [], 0
    folder.mkdir()
    began = time.monotonic()
    assert attempt(work, folder).how == "finished"
    longest, expected, draw = time.monotonic() - began, files_of_run(folder), random.Random(mode)
    while kills < count:
        shutil.rmtree(folder)
        folder.mkdir()
        while attempt(work, folder, seconds=draw.uniform(0, longest)).how == "killed":
            kills += 1
        print(f"{kills} kills, {len(wrong)} wrong", file=sys.stderr, flush=True)
        if files_of_run(folder) != expected:
            wrong.append(f"after {kills} kills: {files_of_run(folder)}, not {expected}"[:2000])
    return kills, wrong


def main(root: Path, kind: str, mode: int, count: int) -> None:
    images, chosen = root / "images", partial(drawn, count)
    make_images(images)
    if kind in MODES and mode == AT_RANDOM:
        calls, wrong = kill_at_random(root, images, MODES[kind], count)
    elif kind in MODES:
        work = partial(train_in, images, MODES[kind])
        calls, wrong = trials(work, files_of_run, damaged, root, mode, chosen=chosen)
    else:
        calls, wrong = try_output(root, kind, mode, chosen, images)
    print(f"{calls} calls or kills", file=sys.stderr)
    print(f"\n{json.dumps(wrong)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
