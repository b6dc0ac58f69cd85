"""Parts of a command line: options, positional arguments and positive integers."""

import argparse
from collections.abc import Sequence
from itertools import islice
from typing import NoReturn

from mindcv.config.schema import OPTION_TYPES
from mindcv.errors import ConfigError

__all__ = ["ProgramParser", "config_path", "expand_flags", "positional_args", "positive_int"]


class ProgramParser(argparse.ArgumentParser):
    """Parser of a program's own options: strict, with errors of one line.

    Args:
        description: The program's docstring, which --help shows as it is.
        usage: The usage line; by default argparse's.
    """

    def __init__(self, description: str | None, usage: str | None = None) -> None:
        super().__init__(
            description=description,
            usage=usage,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise a `ConfigError` instead of exiting."""
        raise ConfigError(f"command line: {message}")


def expand_flags(argv: Sequence[str]) -> list[str]:
    """Expand ``--flag`` of a boolean option without a value into ``--flag true``, as MindCV reads it."""
    arguments = []
    for argument, following in zip(argv, [*argv, "--"][1:], strict=True):
        arguments.append(argument)
        if OPTION_TYPES.get(argument.removeprefix("--")) is bool and following.startswith("-"):
            arguments.append("true")
    return arguments


def positional_args(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate positional arguments, such as the files that a program reads, from the options.

    Args:
        argv: Command line without the program's name. Everything after ``--`` is positional.

    Returns:
        The positional arguments, and the options with their values for `parse_args`.
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


def positive_int(text: str) -> int:
    """Parse a positive integer; a ``type`` for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a positive integer")
    return int(text)


def config_path(arguments: Sequence[str]) -> str | None:
    """Return the YAML file after -c, or None; it may be given once."""
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
