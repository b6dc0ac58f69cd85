"""Classify images: `python infer.py PHOTO FOLDER 'holiday/*.jpg' --ckpt_path ckpt/mnasnet_100_best.ckpt`.

The network and the images' transform are those of the checkpoint's own training; it may be an ONNX file of
export.py. Besides the options below it takes those of train.py, such as -c and --batch_size.
"""

import argparse
import sys

from tqdm import tqdm

from mindcv import build
from mindcv.config import Config
from mindcv.config.command_line import positional_args
from mindcv.errors import UserError
from mindcv.inference import FORMATS, even_batch_size, open_writer
from mindcv.runtime.program import run_program


def infer(config: Config, classes: list[str], names: list[str], options: argparse.Namespace) -> None:
    """Write what the network sees in each image, and end with status 1 if some cannot be read."""
    if not names:
        raise UserError("there is nothing to classify: give images, folders or patterns")
    images = build.build_images(config, names)
    classifier = build.build_classifier(config, classes, build.start_runtime(config))
    predictions = classifier.predict(
        images,
        batch_size=even_batch_size(len(images), config.data.batch_size),
        topk=options.topk,
    )
    unreadable = 0
    bar = tqdm(total=len(images), unit="image", leave=False, disable=None)
    with open_writer(options.format, options.output, images.paths) as writer, bar:
        for prediction in predictions:
            with tqdm.external_write_mode():  # the bar makes way for a line on the same terminal
                if prediction.problem:
                    unreadable += 1
                    print(prediction.problem, file=sys.stderr)
                writer.write(prediction)
            bar.update()
    if unreadable:
        print(f"{unreadable} of {len(images)} files cannot be read", file=sys.stderr)
        raise SystemExit(1)


def parse_options() -> tuple[Config, list[str], list[str], argparse.Namespace]:
    """Read this program's own options and the images' names, and leave the others to those of train.py."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage="%(prog)s PHOTO_OR_FOLDER_OR_PATTERN ... --ckpt_path FILE [-c YAML] [--option value ...]",
    )
    parser.add_argument("--topk", type=int, help="classes of an image; by default 5, or all of fewer")
    parser.add_argument("--format", choices=FORMATS, default="table", help="by default table")
    parser.add_argument("--output", metavar="FILE", help="write there instead of to standard output")
    options, others = parser.parse_known_args()
    names, others = positional_args(others)
    config, classes = build.parse_stored_args(others)
    return config, classes, names, options


def main() -> None:
    """Run the program with this process's command line."""
    config, classes, names, options = parse_options()
    run_program(lambda: infer(config, classes, names, options))


if __name__ == "__main__":
    main()
