"""Average the weights of several checkpoints of one training into a new checkpoint.

    python -m mindcv average-checkpoints --output avg.ckpt ckpt/mnasnet_100-448.ckpt ckpt/mnasnet_100-449.ckpt
    python -m mindcv average-checkpoints --output avg.ckpt --folder ckpt --last 5
    python -m mindcv average-checkpoints --output avg.ckpt --folder ckpt --best 5

`validate.py --ckpt_path avg.ckpt` scores the result, and `create_model(checkpoint_path=...)` loads it. It
has no optimizer state, so a training cannot resume from it.
"""

import argparse
from pathlib import Path

from mindcv.config.command_line import ProgramParser
from mindcv.errors import UserError, one_line
from mindcv.runtime.program import run_program


def average(options: argparse.Namespace) -> None:
    """Average the checkpoints that the options select, and print which they were."""
    output, paths = Path(options.output), [Path(path) for path in options.checkpoints]
    if bool(paths) == bool(options.folder):
        raise UserError("it is unclear what to average: give checkpoints, or --folder with --last or --best")
    if output.suffix != ".ckpt":
        raise UserError(f"--output {output}: a MindSpore checkpoint ends in .ckpt: give such a name")
    from mindcv.engine import average_checkpoints, select_checkpoints
    from mindcv.files.checkpoint_file import write_checkpoint
    from mindcv.runtime.session import log_to_stderr

    log_to_stderr(speaking=True)
    if options.folder:
        paths = select_checkpoints(options.folder, last=options.last, best=options.best)
    elif options.last is not None or options.best is not None:
        raise UserError("--last and --best select from a folder: give --folder DIR instead of checkpoints")
    if output.resolve() in {path.resolve() for path in paths}:
        raise UserError(f"--output {output} is one of the files to average: choose another name")
    tensors, metadata = average_checkpoints(paths)
    write_checkpoint(output, tensors, metadata)
    print(one_line(f"{output}: the average of {', '.join(map(str, paths))}"))


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = ProgramParser(__doc__)
    parser.add_argument("checkpoints", nargs="*", metavar="FILE", help="checkpoints to average")
    parser.add_argument("--output", required=True, metavar="FILE", help="the checkpoint to write")
    parser.add_argument("--folder", metavar="DIR", help="average checkpoints of this folder instead")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--last", type=int, metavar="K", help="the K latest epochs of the folder")
    chosen.add_argument("--best", type=int, metavar="K", help="the K best of the folder by top-1")
    return parser.parse_args()


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: average(parse_options()))


if __name__ == "__main__":
    main()
