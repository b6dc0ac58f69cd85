"""Convert weights between MindSpore, timm and torchvision.

    python -m mindcv convert mnasnet_100.safetensors mnasnet_100.ckpt --model mnasnet_100
    python -m mindcv convert ckpt/mnasnet_100_best.ckpt mnasnet_100.safetensors --ema
    python -m mindcv convert mnasnet_100.ckpt mnasnet_100.pth --model mnasnet_100 --layout torchvision

Files end in .ckpt (MindSpore), .safetensors, or .pth, .pt, .bin, .pth.tar (PyTorch; they need torch).
The layout of INPUT is detected from the names of its tensors.
"""

import argparse
import math
from typing import Literal, get_args

from mindcv.choices import Layout, Padding
from mindcv.config.command_line import ProgramParser, channel_count, class_count
from mindcv.errors import one_line
from mindcv.runtime.program import run_program


def convert(options: argparse.Namespace) -> None:
    """Convert a file, and print what was written."""
    from mindcv.models.conversion import convert_weights
    from mindcv.runtime.session import log_to_stderr

    log_to_stderr(speaking=True)
    written = convert_weights(
        options.input,
        options.output,
        model=options.model,
        layout=options.layout,
        bn_eps=options.bn_eps,
        num_classes=options.num_classes,
        in_channels=options.in_channels,
        padding=options.padding,
        ema=options.ema,
    )
    print(one_line(str(written)))


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = ProgramParser(__doc__)
    parser.add_argument("input", metavar="INPUT", help="the file to read")
    parser.add_argument("output", metavar="OUTPUT", help="the file to write; an existing one is replaced")
    parser.add_argument("--model", metavar="NAME", help="the model; by default the one that INPUT names")
    parser.add_argument(
        "--layout", choices=get_args(Layout), help="names to write; by default mindcv for .ckpt, else timm"
    )
    parser.add_argument(
        "--padding",
        choices=get_args(Padding),
        help="padding that INPUT was trained with, if it does not state it; by default MindCV's",
    )
    parser.add_argument(
        "--bn_eps",
        type=epsilon,
        metavar="X|keep",
        help="epsilon that OUTPUT is for, with gamma adjusted for the difference; keep changes neither. "
        "By default that of the library, and keep for mindcv",
    )
    parser.add_argument("--num_classes", type=class_count, metavar="N", help="by default INPUT's")
    parser.add_argument(
        "--in_channels",
        type=channel_count,
        metavar="N",
        help="by default INPUT's; from 3, the stem is converted",
    )
    parser.add_argument("--ema", action="store_true", help="convert the EMA model's weights")
    return parser.parse_args()


def epsilon(text: str) -> float | Literal["keep"]:
    """Parse a positive number or ``keep``; a ``type`` for argparse."""
    if text == "keep":
        return "keep"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} must be a positive number such as 1e-3, or keep")
    return value


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: convert(parse_options()))


if __name__ == "__main__":
    main()
