"""The text of --help: all options in groups, with types, units and defaults."""

import argparse

from mindcv.config.option import Option, options_of, title_of
from mindcv.config.schema import SECTIONS
from mindcv.config.values import described

__all__ = ["help_text"]


def help_text() -> str:
    """Return the text of --help."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s [-c FILE] [--option value ...]",
        description="Options come from the YAML file after -c; those on the command line win over it.",
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this help message and exit")
    parser.add_argument("-c", "--config", metavar="FILE", help="YAML file with options")
    parser.add_argument("--print_config", action="store_true", help="print all options as YAML, and exit")
    for section in SECTIONS.values():
        group = parser.add_argument_group(title_of(section))
        for option in options_of(section):
            group.add_argument(f"--{option.name}", metavar="VALUE", help=_described(option))
    return parser.format_help()


def _described(option: Option) -> str:
    unit = f" Unit: {option.unit}." if option.unit else ""
    default = list(option.default) if isinstance(option.default, tuple) else option.default
    shown = {None: "null", "": "''"}.get(default, default) if not isinstance(default, list) else default
    return f"{option.help}{unit} ({described(option.kind)}; default: {shown})".replace("%", "%%")
