"""Ranks that disagree about one thing after the other; what they say is written to ``found{rank}.json``.

It expects a recipe as train.py does, and in the folder ``variants`` other datasets for all ranks but the
first.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import mindspore as ms
import numpy as np

from mindcv import build
from mindcv.build.agreement import compare_options, compare_weights
from mindcv.config import load_config
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import create_model
from mindcv.runtime.program import run_program
from mindcv.runtime.session import Runtime

CLASSES = ["a", "b", "c"]
OPTIONS = {
    "a number": ["--lr", "0.5"],
    "a choice": ["--opt", "adamw"],
    "a resumed run": ["--resume", "auto"],
    "places and workers": ["--data_dir", "elsewhere", "--num_parallel_workers", "2"],
}


def caught(compare: Callable[[], object]) -> str:
    """Return the message about a difference; empty if there is none."""
    try:
        compare()
    except UserError as error:
        return str(error)
    return ""


def differences(argv: list[str], runtime: Runtime) -> dict[str, str]:
    """Return the messages about each difference."""
    config = load_config(argv)

    def own(*options: str) -> list[str]:
        """The command line, which has further options on all ranks but the first."""
        return [*argv, *options] if runtime.rank else argv

    found = {"nothing": caught(lambda: build.build_training_data(config, runtime))}
    for name, options in OPTIONS.items():
        found[name] = caught(lambda options=options: compare_options(load_config(own(*options)), runtime))
    for folder in sorted(Path("variants").iterdir()):
        config = load_config(own("--data_dir", str(folder)))
        found[f"{folder.name}, train"] = caught(partial(build.build_training_data, config, runtime))
        found[f"{folder.name}, val"] = caught(partial(build.build_validation_data, config, runtime))
    path = Path(f"weights{runtime.rank}.ckpt")
    given = load_config([*argv, "--ckpt_path", str(path)])
    for name, seed in (("one file of weights", 1), ("two files", 1 + runtime.rank)):
        ms.set_seed(seed)
        network = create_model(given.model.model_name, num_classes=len(CLASSES))
        write_checkpoint(path, {p.name: p for p in network.get_parameters()}, {"classes": CLASSES})
        found[name] = caught(lambda: build.build_network(given, CLASSES, runtime))
    value = ms.Parameter(np.full(9, 0.1 + 1e-8 * runtime.rank, np.float32), name="a value")
    found["a bit"] = caught(lambda: compare_weights([value], "these", runtime))
    return found


def main() -> None:
    """Find everything out in both modes."""
    runtime = build.start_runtime(load_config(sys.argv[1:]))
    found = {}
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        found[str(mode)] = differences([*sys.argv[1:], "--mode", str(mode)], runtime)
    Path(f"found{runtime.rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    run_program(main)
