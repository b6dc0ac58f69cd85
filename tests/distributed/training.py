"""train.py, which besides gives each rank a folder of its own, and leaves there what it validates.

Whatever a rank should not have written is then in its folder.
"""

import sys
from pathlib import Path

import numpy as np

from mindcv.build import callbacks
from mindcv.config import parse_args
from mindcv.programs.train import train
from mindcv.runtime.launch import detect_launch
from mindcv.runtime.program import run_program

exchange_of = callbacks.build_statistics_exchange


def exchange_and_save(config, network, ema_model, runtime):
    """Exchange as train.py does before each validation, and then save this rank's weights."""
    exchange = exchange_of(config, network, ema_model, runtime)
    epoch = 0

    def run() -> None:
        nonlocal epoch
        epoch += 1
        before = {f"before.{p.name}": p.asnumpy().copy() for p in network.get_parameters()}
        exchange()
        after = {p.name: p.asnumpy() for p in network.get_parameters()}
        np.savez(f"weights{runtime.rank}-{epoch}.npz", **before, **after)

    return run


if __name__ == "__main__":
    folder = Path(f"rank{detect_launch().rank}")
    config = parse_args([*sys.argv[1:], "--ckpt_save_dir", str(folder)])
    callbacks.build_statistics_exchange = exchange_and_save
    run_program(lambda: train(config))
