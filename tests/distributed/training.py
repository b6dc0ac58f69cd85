"""train.py, which besides leaves each rank's weights in a file, and gives each rank a folder of its own.

Whatever a rank should not have written is in its folder.
"""

import sys

import numpy as np

import build
from config import parse_args
from mindcv.runtime.launch import detect_launch
from mindcv.runtime.program import run_program
from train import train

networks = []


def remember(make):
    """Make a function that makes a network keep it."""

    def make_and_keep(*arguments):
        networks.append(make(*arguments))
        return networks[-1]

    return make_and_keep


def main() -> None:
    """Train, and write this rank's weights."""
    train(config)
    (network,) = networks
    np.savez(f"weights{rank}.npz", **{p.name: p.asnumpy() for p in network.get_parameters()})


if __name__ == "__main__":
    rank = detect_launch().rank
    config = parse_args([*sys.argv[1:], "--ckpt_save_dir", f"rank{rank}"])
    build.build_network = remember(build.build_network)
    run_program(main)
