"""What a command line is made of: its options and its positional_args, and numbers of things."""

import argparse
from collections.abc import Sequence
from itertools import islice

from mindcv.config.checks import ConfigError
from mindcv.config.schema import OPTION_TYPES

__all__ = ["config_path", "count", "expand_flags", "positional_args"]


def expand_flags(argv: Sequence[str]) -> list[str]:
    """Turn a bare ``--flag`` of a yes-or-no option into ``--flag true``, as MindCV reads it."""
    arguments = []
    for argument, following in zip(argv, [*argv, "--"][1:], strict=True):
        arguments.append(argument)
        if OPTION_TYPES.get(argument.removeprefix("--")) is bool and following.startswith("-"):
            arguments.append("true")
    return arguments


def positional_args(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate what is no option and no option's value, such as the files that a program works on.

    Args:
        argv: Command line without the program's name. What follows ``--`` is no option.

    Returns:
        The positional_args, and the rest for `parse_args`.
    """
    found, options = [], []
    arguments = iter(expand_flags(argv))
    for argument in arguments:
        if argument == "--":
            found.extend(arguments)
        elif not argument.startswith("-") or argument == "-":
            found.append(argument)
        else:
            options.append(argument)
            complete = "=" in argument or argument in ("-h", "--help", "--print_config")
            if not complete and (argument.startswith("--") or argument == "-c"):
                options.extend(islice(arguments, 1))
    return found, options


def count(text: str) -> int:
    """A whole number of at least 1, as argparse wants to be told of it."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no count: give a whole number of at least 1")
    return int(text)


def config_path(arguments: Sequence[str]) -> str | None:
    """The YAML file after -c, if there is one; once."""
    reader = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    reader.add_argument("-c", "--config", action="append", default=[])
    try:
        paths = reader.parse_known_args(arguments)[0].config
    except argparse.ArgumentError:
        paths = [""]
    if "" in paths:
        raise ConfigError("command line: -c names no file: give a YAML file after it")
    if len(paths) > 1:
        raise ConfigError(f"command line: -c is given {len(paths)} times: keep one")
    return paths[0] if paths else None
