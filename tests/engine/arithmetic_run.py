"""A training run whose steps are arithmetic and whose files are real, disturbed at each call that writes one.

Started as a program with a folder, a setting, scores and modes, it prints what went wrong.
"""

import json
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from mindspore import Parameter, Tensor

from mindcv.engine import CheckpointManager, EpochResult, Evaluation, RunPosition
from mindcv.engine.callbacks import HistoryTable
from mindcv.engine.resume import find_state
from mindcv.files.checkpoint_file import read_checkpoint
from tests.support.boundaries import damaged, trials

IMAGES = 10
SCORES = {"short": (3, 4), "falls": (5, 9, 7), "rises": (3, 4, 8)}  # right answers after each epoch
SETTINGS = {
    "latest": {"keep": 1},
    "top": {"keep": 2, "policy": "top_k"},
    "rare": {"keep": 1, "interval": 2},
    "none": {"keep": 0},
}


class Run:
    """Trains from the newest checkpoint in a folder, or from the beginning."""

    def __init__(self, folder: Path, setting: str, scores: str) -> None:
        self.state = {name: Parameter(Tensor(np.zeros(9, np.float32)), name=name) for name in ("w", "m.w")}
        self.manager = CheckpointManager(folder, "net", self.state, {"config": {}}, **SETTINGS[setting])
        self.table, self.scores = HistoryTable(folder), SCORES[scores]

    def train(self) -> None:
        manager, start = self.manager, RunPosition()
        manager.prepare_folder()
        found = find_state(manager.folder, "net")
        if found is None:
            manager.run_id = "0123456789abcdef"
        else:
            path, checkpoint = found
            manager.restore(checkpoint.metadata, path)
            start = RunPosition.from_metadata(checkpoint.metadata["progress"])
            for name, value in checkpoint.tensors.items():
                self.state[name].set_data(Tensor(value))
            self.report(start.results)
        results, batch = start.results, start.batch
        for epoch in range(start.epoch, len(self.scores)):
            if batch == 0:
                self.step(1.5)
                manager.save(RunPosition(epoch=epoch, batch=1, losses=(0.5,), results=results), 2 * epoch + 1)
            self.step(epoch)
            batch, results = 0, (*results, self.result(epoch + 1))
            last = epoch + 1 == len(self.scores)
            position = RunPosition(epoch=epoch + 1, results=results)
            manager.after_epoch(position, 2 * epoch + 2, score=results[-1].score, last=last)
            self.report(results)

    def step(self, gradient: float) -> None:
        for i, parameter in enumerate(self.state.values()):
            parameter.set_data(Tensor(np.float32(0.9) * parameter.asnumpy() + np.float32(gradient + i)))

    def result(self, epoch: int) -> EpochResult:
        score = Evaluation(images=IMAGES, top1=self.scores[epoch - 1], top5=IMAGES, loss_sum=1.0)
        common = {"train_loss": 1 / epoch, "train_seconds": 1.0, "images_per_second": 9.0}
        return EpochResult(epoch=epoch, step=2 * epoch, lr=0.1, validation=score, **common)

    def report(self, results: tuple[EpochResult, ...]) -> None:
        self.table.on_epoch_result(SimpleNamespace(results=results))


def train_in(setting: str, scores: str, folder: Path) -> None:
    run = Run(folder, setting, scores)
    try:
        run.train()
    finally:
        run.manager.lock.release()


def content(folder: Path) -> dict[str, str]:
    """Everything in a folder: a checkpoint's tensors and metadata, and other files as bytes."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".ckpt":
            read = read_checkpoint(path)
            tensors = {name: value.tobytes().hex() for name, value in read.tensors.items()}
            found[path.name] = json.dumps([tensors, read.metadata, read.has_checksum], sort_keys=True)
        else:
            found[path.name] = path.read_bytes().hex()
    return found


if __name__ == "__main__":
    root, setting, scores, modes = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    wrong = []
    for mode in map(int, modes):
        (root / str(mode)).mkdir()
        work = partial(train_in, setting, scores)
        calls, found = trials(work, content, damaged, root / str(mode), mode)
        print(f"{calls} calls", file=sys.stderr)
        wrong += found
    print(json.dumps(wrong))
