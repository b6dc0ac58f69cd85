"""Options as scripts written for MindCV read them: attributes with flat names."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mindcv.config.loading import parse_args
from mindcv.config.mindcv_files import MINDCV_OFF
from mindcv.config.yaml_file import dump_mapping

__all__ = ["parse_flat_args", "save_args"]


def parse_flat_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options of a program; print a mistake in one line and exit with status 2.

    Args:
        argv: Command line without the program's name; by default this process's own.

    Returns:
        A namespace with an attribute for each option, named as in a YAML file: ``args.model``, ``args.lr``.
        MindCV's options for features that this version lacks have the values that switch them off.
    """
    options = parse_args(argv).options()
    off = {name: values[0] for name, values in MINDCV_OFF.items()}
    return argparse.Namespace(**{**off, "amp_cast_list": None, **options})


def save_args(args: argparse.Namespace, filepath: str, rank: int = 0) -> None:
    """Write options to a YAML file that ``-c`` reads; only rank 0 does.

    Args:
        args: Options, as from `parse_flat_args`.
        filepath: The file; its folder is created if missing.
        rank: Rank of this process.
    """
    if rank == 0:
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dump_mapping(vars(args)), encoding="utf-8")
