"""Print the cost of a model, part by part, or list the models.

python -m mindcv summary mnasnet_100 --image_size 224
python -m mindcv summary --list "mobilenet*"
"""

import argparse

from mindcv.config.command_line import ProgramParser, channel_count, class_count, positive_int
from mindcv.errors import UserError
from mindcv.runtime.program import run_program

__all__ = ["summary"]


def summary(options: argparse.Namespace) -> None:
    """Print output shape, parameters and MACs of each part of a model, or the names of models."""
    from mindcv.models import create_model, list_models, summarize

    if options.list is not None:
        names = list_models(options.list)
        if not names:
            raise UserError(f"--list {options.list} matches no model: give another pattern, or none for all")
        print("\n".join(names))
        return
    network = create_model(options.model, options.num_classes, in_channels=options.in_channels)
    print(summarize(network, options.image_size))


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = ProgramParser(__doc__)
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a registered model, such as mnasnet_100")
    parser.add_argument(
        "--list",
        nargs="?",
        const="",
        metavar="PATTERN",
        help="list the models instead, or those whose names match a pattern such as 'mobilenet*'",
    )
    parser.add_argument(
        "--image_size", type=positive_int, default=224, metavar="N", help="height and width; 224"
    )
    parser.add_argument("--num_classes", type=class_count, default=1000, metavar="N", help="classes; 1000")
    parser.add_argument(
        "--in_channels", type=channel_count, default=3, metavar="N", help="channels of the image; 3"
    )
    options = parser.parse_args()
    if (options.model is None) == (options.list is None):
        parser.error("give either MODEL or --list")
    return options


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: summary(parse_options()))


if __name__ == "__main__":
    main()
