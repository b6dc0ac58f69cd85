"""What a model costs, part by part: `python -m tools.summary mnasnet_100 --image_size 224`."""

import argparse

from mindcv.models import create_model, summarize
from mindcv.runtime.program import run_program

__all__ = ["summary"]


def summary(options: argparse.Namespace) -> None:
    """Print output shape, parameters and multiplications of each part of the model that the options name."""
    network = create_model(options.model, options.num_classes, in_channels=options.in_channels)
    print(summarize(network, options.image_size))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("model", metavar="MODEL", help="a registered model, such as mnasnet_100")
    parser.add_argument("--image_size", type=int, default=224, metavar="N", help="height and width; 224")
    parser.add_argument("--num_classes", type=int, default=1000, metavar="N", help="classes; 1000")
    parser.add_argument("--in_channels", type=int, default=3, metavar="N", help="channels of the image; 3")
    return parser.parse_args()


def main() -> None:
    """Run the program with this process's command line."""
    options = parse_options()
    run_program(lambda: summary(options))


if __name__ == "__main__":
    main()
