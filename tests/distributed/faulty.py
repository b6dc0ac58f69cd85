"""train.py, in which one rank meets a fault: ``FAULT`` says which one, ``FAULT_RANK`` on which rank."""

import os
import signal
import sys
import time
from pathlib import Path

from mindcv.config import load_config
from mindcv.programs.train import check_inputs
from mindcv.runtime.launch import detect_launch
from mindcv.runtime.program import run_program

FAULT, FAULT_RANK = os.environ["FAULT"], int(os.environ.get("FAULT_RANK", "1"))


def strike(fault: str) -> None:
    """Do to this process what the fault is."""
    Path("struck").write_text(f"{time.time()}", encoding="utf-8")
    match fault:
        case "exception":
            raise RuntimeError("the fault of this test")
        case "memory":
            raise MemoryError
        case "interrupt":
            raise KeyboardInterrupt
        case "exit":
            raise SystemExit(3)
        case "exit0":
            raise SystemExit(0)
        case "_exit":
            os._exit(3)
        case "_exit0":
            os._exit(0)
        case _:
            os.kill(os.getpid(), signal.Signals[fault])


def main() -> None:
    launch = detect_launch()
    struck = launch.rank == FAULT_RANK and not launch.is_scheduler
    place, _, fault = FAULT.partition(":")
    argv = sys.argv[1:]
    if struck and place == "options":
        argv += fault.split()
    if struck and place == "start":
        strike(fault)
    config = load_config(argv)
    check_inputs(config)
    if struck and place == "inputs":
        strike(fault)
    from mindcv.build import create_trainer
    from mindcv.engine.callbacks import RunCallback
    from mindcv.models import MnasNet, register_model
    from mindcv.models.mnasnet import Stage
    from mindcv.step import TrainStep

    @register_model(options_of=MnasNet)
    def tiny(**options):
        return MnasNet((Stage(expand=2, channels=8, blocks=1, stride=2, kernel=3),), 1.0, 8, **options)

    class Faulty(RunCallback):
        def on_train_step_end(self, run_context) -> None:
            if struck and place == "callback" and run_context.original_args().cur_step_num == 2:
                strike(fault)

    if struck and place == "step":
        call = TrainStep.__call__
        calls = []

        def failing(self, *args, **kwargs):
            calls.append(1)
            if len(calls) == 2:
                strike(fault)
            return call(self, *args, **kwargs)

        TrainStep.__call__ = failing
    trainer = create_trainer(config, callbacks=[Faulty()])
    trainer.fit()


if __name__ == "__main__":
    run_program(main)
