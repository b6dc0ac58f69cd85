"""Compare training runs on one page: final scores, curves over one another, and the options that differ.

    python -m mindcv compare-runs ckpt/baseline ckpt/longer --output comparison.html

RUN is a folder that train.py has written: its history.csv is needed, its config.yaml is used if it is there.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindcv.config.command_line import ProgramParser
from mindcv.errors import ConfigError, UserError, one_line
from mindcv.files.outputs import check_output_file
from mindcv.runtime.program import run_program

MOST_RUNS = 8  # a colour each


def run(options: argparse.Namespace) -> None:
    """Read all runs and write the page."""
    if not 2 <= len(options.runs) <= MOST_RUNS:
        raise UserError(f"{len(options.runs)} runs were given: give from 2 to {MOST_RUNS} folders")
    check_output_file(options.output, ".html", option="output")
    from mindcv.config import OPTIONS
    from mindcv.report.comparison_page import render_comparison
    from mindcv.report.document import write_page
    from mindcv.report.run_folder import RunFolder, read_history

    names = short_names(options.runs)
    runs = [
        RunFolder(name=name, columns=read_history(folder), options=read_options(folder))
        for name, folder in zip(names, options.runs, strict=True)
    ]
    defaults = {name: option.default for name, option in OPTIONS.items()}
    write_page(options.output, render_comparison(runs, defaults))
    print(one_line(f"comparison: {options.output}"))


def short_names(folders: Sequence[Path]) -> list[str]:
    """Return the folders without the parts of their paths that all of them begin with."""
    paths = [Path(folder).resolve() for folder in folders]
    common = os.path.commonpath(paths)
    names = [os.path.relpath(path, common) for path in paths]
    return [Path(path).name if name == "." else name for name, path in zip(names, paths, strict=True)]


def read_options(folder: Path) -> dict[str, Any]:
    """Return the options in a run's ``config.yaml``; none if it has no such file.

    Raises:
        UserError: If the file cannot be understood.
    """
    from mindcv.config.yaml_file import load_mapping

    path = folder / "config.yaml"
    if not path.exists():
        return {}
    try:
        return load_mapping(str(path))
    except ConfigError as error:
        raise UserError(f"{path}: {error}") from None


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = ProgramParser(__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("comparison.html"),
        metavar="FILE",
        help="the page to write (default: comparison.html)",
    )
    return parser.parse_args()


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: run(parse_options()))


if __name__ == "__main__":
    main()
