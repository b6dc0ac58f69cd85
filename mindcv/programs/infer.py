"""Classify images: `python infer.py PHOTO FOLDER 'holiday/*.jpg' --ckpt_path ckpt/mnasnet_100_best.ckpt`.

The network and the transform of the images are those of the checkpoint's own training; the checkpoint may be
an ONNX file written by export.py. All options of train.py can be given too, such as -c and --batch_size.
"""

import argparse
import sys
from typing import get_args

from mindcv.choices import PredictionFormat
from mindcv.config import given_option
from mindcv.config.command_line import ProgramParser, positional_args, positive_int
from mindcv.errors import UserError, one_line
from mindcv.files.inputs import check_weights_file, is_same_file
from mindcv.runtime.program import run_program


def infer(names: list[str], options: argparse.Namespace, argv: list[str]) -> None:
    """Write the classes of each image, and end with status 1 if some images cannot be read.

    Args:
        names: Files, folders and patterns.
        options: This program's own options.
        argv: The options of train.py.
    """
    from tqdm import tqdm

    from mindcv import build
    from mindcv.inference import even_batch_size, open_writer

    config, classes = build.load_stored_config(argv)
    images = build.build_images(config, names)
    if options.output and is_same_file(options.output, config.model.checkpoint_path):
        raise UserError(f"--output {options.output} is the checkpoint itself: choose another file")
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
            with tqdm.external_write_mode():  # the bar makes room for a line on the same terminal
                if prediction.problem:
                    unreadable += 1
                    print(one_line(prediction.problem), file=sys.stderr)
                writer.write(prediction)
            bar.update()
    if unreadable:
        print(f"{unreadable} of {len(images)} files cannot be read", file=sys.stderr)
        raise SystemExit(1)


def parse_options() -> tuple[list[str], argparse.Namespace, list[str]]:
    """Parse the images' names and this program's own options; the rest are options of train.py."""
    parser = ProgramParser(
        __doc__,
        usage="%(prog)s PHOTO_OR_FOLDER_OR_PATTERN ... --ckpt_path FILE [-c YAML] [--option value ...]",
    )
    parser.add_argument(
        "--topk", type=positive_int, help="classes per image; by default 5, or all if there are fewer"
    )
    parser.add_argument(
        "--format", choices=get_args(PredictionFormat), default="table", help="by default table"
    )
    parser.add_argument("--output", metavar="FILE", help="write to this file instead of standard output")
    options, others = parser.parse_known_args()
    names, argv = positional_args(others)
    check_weights_file(given_option(argv, "ckpt_path"))  # mistakes are reported before MindSpore is imported
    if not names:
        raise UserError("there is nothing to classify: give images, folders or patterns")
    return names, options, argv


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: infer(*parse_options()))


if __name__ == "__main__":
    main()
