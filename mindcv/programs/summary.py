"""Print the cost of a model, part by part: `python -m mindcv summary mnasnet_100 --image_size 224`."""

import argparse

from mindcv.config.command_line import ProgramParser, positive_int
from mindcv.runtime.program import run_program

__all__ = ["summary"]


def summary(options: argparse.Namespace) -> None:
    """Print output shape, parameters and MACs of each part of a model."""
    from mindcv.models import create_model, summarize

    network = create_model(options.model, options.num_classes, in_channels=options.in_channels)
    print(summarize(network, options.image_size))


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = ProgramParser(__doc__)
    parser.add_argument("model", metavar="MODEL", help="a registered model, such as mnasnet_100")
    parser.add_argument(
        "--image_size", type=positive_int, default=224, metavar="N", help="height and width; 224"
    )
    parser.add_argument("--num_classes", type=positive_int, default=1000, metavar="N", help="classes; 1000")
    parser.add_argument(
        "--in_channels", type=positive_int, default=3, metavar="N", help="channels of the image; 3"
    )
    return parser.parse_args()


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: summary(parse_options()))


if __name__ == "__main__":
    main()
