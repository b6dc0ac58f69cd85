"""Convert weights between MindSpore, timm and torchvision.

    python convert.py mnasnet_100.safetensors mnasnet_100.ckpt --model mnasnet_100
    python convert.py ckpt/mnasnet_100_best.ckpt mnasnet_100.safetensors --ema
    python convert.py mnasnet_100.ckpt mnasnet_100.pth --model mnasnet_100 --layout torchvision

Files end in .ckpt (MindSpore), .safetensors, or .pth, .pt, .bin, .pth.tar (PyTorch; they need torch).
Whose names the tensors of INPUT have is seen from the names.
"""

import argparse
import math
from typing import Literal

from mindcv.config.command_line import count
from mindcv.models.weights.conversion import convert_weights
from mindcv.models.weights.layouts import LAYOUTS
from mindcv.runtime.program import run_program
from mindcv.runtime.session import log_to_stderr


def convert(options: argparse.Namespace) -> None:
    """Convert a file, and say what was written."""
    log_to_stderr(speaking=True)
    print(
        convert_weights(
            options.input,
            options.output,
            model=options.model,
            layout=options.layout,
            bn_eps=options.bn_eps,
            num_classes=options.num_classes,
            in_channels=options.in_channels,
            ema=options.ema,
        )
    )


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("input", metavar="INPUT", help="the file to read")
    parser.add_argument("output", metavar="OUTPUT", help="the file to write, in place of an older one")
    parser.add_argument("--model", metavar="NAME", help="the model; by default the one that INPUT names")
    parser.add_argument(
        "--layout", choices=LAYOUTS, help="whose names to write; by default mindcv for .ckpt, else timm"
    )
    parser.add_argument(
        "--bn_eps",
        type=epsilon,
        metavar="X|keep",
        help="epsilon that OUTPUT is for, gamma taking up the difference; keep leaves both as they are. "
        "By default 1e-5 for timm and torchvision, and keep for mindcv",
    )
    parser.add_argument("--num_classes", type=count, metavar="N", help="by default INPUT's")
    parser.add_argument(
        "--in_channels", type=count, metavar="N", help="by default INPUT's; from 3, the stem is converted"
    )
    parser.add_argument("--ema", action="store_true", help="convert the moving average of the weights")
    return parser.parse_args()


def epsilon(text: str) -> float | Literal["keep"]:
    """A positive number, or ``keep``."""
    if text == "keep":
        return "keep"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no positive number: give one such as 1e-3, or keep")
    return value


def main() -> None:
    """Run the program with this process's command line."""
    options = parse_options()
    run_program(lambda: convert(options))


if __name__ == "__main__":
    main()
