"""Add a checksum to files of weights, so that damage to them is noticed whenever they are read.

    python -m mindcv add-checksum mnasnet_100.ckpt timm.safetensors

For files from elsewhere: those that this project writes have one. A file is replaced atomically, and its
tensors stay as they are; MindSpore and the safetensors library read it as before. One that has a checksum
already is verified.
"""

import argparse

from mindcv.config.command_line import ProgramParser
from mindcv.errors import one_line
from mindcv.runtime.program import run_program


def run(options: argparse.Namespace) -> None:
    """Add a checksum to all files, and print what was done with each."""
    from mindcv.files.add_checksum import add_checksum

    for path in options.files:
        print(one_line(add_checksum(path)), flush=True)


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = ProgramParser(__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="a .ckpt or .safetensors file")
    return parser.parse_args()


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: run(parse_options()))


if __name__ == "__main__":
    main()
