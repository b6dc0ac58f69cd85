"""train.py, in which one rank meets a fault.

``FAULT`` is ``RANK:PLACE:KIND``: where that is (``options``, ``start``, ``inputs``, ``step``, ``callback`` or
``weights``), and which one. For ``options`` these are further ones of that rank's command line, or with
``-c`` all of them. The time is written to ``struck``.
"""

import errno
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mindcv.config import load_config
from mindcv.programs.train import check_inputs
from mindcv.runtime.launch import detect_launch
from mindcv.runtime.program import run_program

RANK, PLACE, KIND = os.environ["FAULT"].split(":", 2)
LAUNCH = detect_launch()
STEP = 2


def strike(place: str) -> None:
    """Do to this process what the fault is, if this is its rank and the place."""
    if place != PLACE or LAUNCH.rank != int(RANK) or LAUNCH.is_scheduler:
        return
    Path("struck").write_text(str(time.time()), encoding="utf-8")
    match KIND:
        case "exception":
            raise RuntimeError("the fault of this test")
        case "hang":
            time.sleep(600)
        case "memory":
            raise MemoryError
        case "permissions":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a/file")
        case "interrupt":
            raise KeyboardInterrupt
        case "exit 3" | "exit 0":
            raise SystemExit(int(KIND[-1]))
        case "_exit 3" | "_exit 0":
            os._exit(int(KIND[-1]))
        case number:
            os.kill(os.getpid(), signal.Signals[number])


def train() -> None:
    """Train a tiny network."""
    strike("start")
    mine = PLACE == "options" and LAUNCH.rank == int(RANK) and not LAUNCH.is_scheduler
    options = KIND.split() if mine else []
    config = load_config(options if "-c" in options else [*sys.argv[1:], *options])
    check_inputs(config)
    strike("inputs")
    import numpy as np
    from mindspore import Tensor, ops
    from together import STAGES

    from mindcv.build import create_trainer
    from mindcv.engine.callbacks import RunCallback
    from mindcv.models import MnasNet, register_model
    from mindcv.step import TrainStep

    @register_model(options_of=MnasNet)
    def tiny(**options: Any) -> MnasNet:
        """A small MnasNet."""
        return MnasNet(STAGES, 1.0, 8, **options)

    class Faulty(RunCallback):
        def on_train_step_end(self, run_context: Any) -> None:
            run = run_context.original_args()
            if run.cur_step_num != STEP:
                return
            if PLACE == "weights" and LAUNCH.rank == int(RANK):
                weight = run.network.trainable_params()[0]
                ops.assign(weight, Tensor(np.full(weight.shape, np.nan, np.float32)))
            strike("callback")

    call, steps = TrainStep.__call__, iter(range(10**9))

    def step(self: TrainStep, *batch: Any) -> Any:
        if next(steps) == STEP:
            strike("step")
        return call(self, *batch)

    TrainStep.__call__ = step
    create_trainer(config, callbacks=[Faulty()]).fit()


if __name__ == "__main__":
    run_program(train)
