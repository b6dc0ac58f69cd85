"""Pack an image folder into MindRecord files: `python -m mindcv pack /data/imagenet /data/imagenet_packed`.

    python -m mindcv pack DATA_DIR OUTPUT --shorter_side 256
    python -m mindcv pack DATA_DIR OUTPUT --verify

Train with --dataset mindrecord --data_dir OUTPUT. A packing that was stopped continues with the shards that
are not finished. Every shard is read back and compared with the images; --verify compares a finished packing
again.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from mindcv.config.command_line import ProgramParser, positive_int
from mindcv.errors import UserError, one_line
from mindcv.files.inputs import expected_folder
from mindcv.ranges import MAX_IMAGE_PIXELS
from mindcv.runtime.machine import usable_cores
from mindcv.runtime.program import run_program

MEBIBYTE = 2**20


def pack(options: argparse.Namespace) -> None:
    """Pack or verify each split, and print what was done."""
    root, output = Path(options.data_dir), Path(options.output)
    for split in options.splits:
        if Path(split).name != split or split in ("", ".."):
            raise UserError(
                f"--splits {split} is not the name of a folder in DATA_DIR: give names without a path"
            )
        if not (root / split).is_dir():
            raise UserError(expected_folder(root, split))
    if output.resolve() == root.resolve():
        raise UserError(f"output={output} is the image folder itself: choose another folder")
    from mindcv.build.packing import build_packing
    from mindcv.runtime.session import log_to_stderr

    log_to_stderr(speaking=True)
    pack_or_verify = build_packing(
        root,
        output,
        options.splits,
        shorter_side=options.shorter_side,
        quality=options.quality,
        skip_bad=options.on_bad_image == "skip",
        max_image_pixels=options.max_image_pixels,
        shard_bytes=options.shard_size * MEBIBYTE,
        workers=options.workers,
        verify=options.verify,
    )
    for split in options.splits:
        with tqdm(desc=split, unit="image", disable=None) as bar:
            result = pack_or_verify(split, bar.update)
        line = (
            f"{output / split}: {result.images} images of {result.classes} classes in {result.shards} shards"
        )
        if options.verify:
            line += ", equal to the folder"
        elif result.kept:
            line += f", {result.kept} of which were finished before"
        print(one_line(line))
        for name, fault in result.skipped.items():
            print(one_line(f"{root / split / name} {fault}: left out"))


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = ProgramParser(__doc__)
    parser.add_argument("data_dir", metavar="DATA_DIR", help="the image folder, with SPLIT/CLASS/IMAGE.jpg")
    parser.add_argument("output", metavar="OUTPUT", help="folder of the MindRecord files; made if missing")
    parser.add_argument("--splits", nargs="+", default=["train", "val"], metavar="SPLIT", help="train val")
    parser.add_argument(
        "--shorter_side",
        type=positive_int,
        default=0,
        metavar="PIXELS",
        help="shrink larger images to this shorter side; by default the files' own bytes are kept",
    )
    parser.add_argument("--quality", type=quality, default=95, help="JPEG quality of shrunk images, 1 to 100")
    parser.add_argument("--shard_size", type=positive_int, default=256, metavar="MIB", help="size of a shard")
    parser.add_argument(
        "--workers", type=positive_int, default=usable_cores(), help="processes; by default one per core"
    )
    parser.add_argument(
        "--on_bad_image", choices=("fail", "skip"), default="fail", help="skip leaves unreadable images out"
    )
    parser.add_argument("--max_image_pixels", type=positive_int, default=MAX_IMAGE_PIXELS)
    parser.add_argument("--verify", action="store_true", help="compare OUTPUT with DATA_DIR, write nothing")
    return parser.parse_args()


def quality(text: str) -> int:
    """Parse a JPEG quality; a ``type`` for argparse."""
    value = positive_int(text)
    if value > 100:
        raise argparse.ArgumentTypeError(f"{text} must be a JPEG quality from 1 to 100")
    return value


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: pack(parse_options()))


if __name__ == "__main__":
    main()
