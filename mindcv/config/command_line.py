"""Parts of a command line: options, positional arguments and positive integers."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NoReturn

from mindcv.config.help import help_text
from mindcv.config.schema import OPTION_TYPES
from mindcv.errors import ConfigError

__all__ = [
    "CommandLine",
    "ProgramParser",
    "channel_count",
    "class_count",
    "expand_flags",
    "own_options",
    "positional_args",
    "positive_int",
    "split_options",
]

NEGATIVE = re.compile(r"-(?:\.?[0-9]|\.inf|$)")  # "-" alone is a file of other programs
LARGEST = 2**31 - 1
MOST_CLASSES = 100_000  # as of the option num_classes
MOST_CHANNELS = 1024


class ProgramParser(argparse.ArgumentParser):
    """Parser of a program's own options: strict, with errors of one line.

    Args:
        description: The program's docstring, which --help shows as it is.
        usage: The usage line; by default argparse's.
        add_help: Whether it answers --help itself.
    """

    def __init__(self, description: str | None, usage: str | None = None, *, add_help: bool = True) -> None:
        super().__init__(
            description=description,
            usage=usage,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=add_help,
        )

    def error(self, message: str) -> NoReturn:
        """Raise a `ConfigError` instead of exiting."""
        raise ConfigError(f"command line: {message}")


def own_options(parser: ProgramParser, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Separate a program's own options from those of all programs; --help shows both, and ends the program.

    Args:
        parser: Parses its own options, without --help.
        argv: Command line without the program's name.

    Returns:
        Its own options, and the rest for `load_config`.
    """
    options, others = parser.parse_known_args(argv)
    if {"-h", "--help"} & set(others):
        own = parser.format_help().partition("options:\n")[2]
        print(help_text().replace("\noptions:\n", f"\nof this program alone:\n{own}\noptions:\n", 1), end="")
        raise SystemExit(0)
    return options, others


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
    """Parse a positive integer below 2**31; a ``type`` for argparse."""
    if not text.isdecimal() or len(text) > 10 or not 1 <= int(text) <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text} must be a positive integer")
    return int(text)


def class_count(text: str) -> int:
    """Parse a number of classes; a ``type`` for argparse."""
    return _up_to(MOST_CLASSES, text)


def channel_count(text: str) -> int:
    """Parse a number of image channels; a ``type`` for argparse."""
    return _up_to(MOST_CHANNELS, text)


def _up_to(largest: int, text: str) -> int:
    value = positive_int(text)
    if value > largest:
        raise argparse.ArgumentTypeError(f"{text} is too large: give 1 to {largest}")
    return value


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """A command line of options, not yet checked.

    Args:
        path: YAML file after -c; None without one.
        options: Name and text of each option, in order; a text is None where the command line ends or
            another option follows.
        extra: Arguments that are neither options nor their texts.
        wants_help: Whether -h is among them.
        wants_options: Whether --print_config is among them.
    """

    path: str | None
    options: tuple[tuple[str, str | None], ...]
    extra: tuple[str, ...]
    wants_help: bool
    wants_options: bool


def split_options(argv: Sequence[str]) -> CommandLine:
    """Split a command line into its options.

    Args:
        argv: Command line without the program's name.

    Raises:
        ConfigError: If -c names no file or several.
    """
    paths: list[str | None] = []
    options: list[tuple[str, str | None]] = []
    extra, switches = [], set()
    arguments = expand_flags(argv)[::-1]  # the next one is the last
    while arguments:
        argument = arguments.pop()
        name, given, text = argument.partition("=")
        if argument in ("-h", "--help", "--print_config"):
            switches.add(argument)
        elif name in ("-c", "--config"):
            paths.append(text if given else _value_from(arguments))
        elif argument.startswith("-c"):
            paths.append(argument[2:])
        elif argument.startswith("--") and argument != "--":
            options.append((name[2:], text if given else _value_from(arguments)))
        else:
            extra.append(argument)
    if None in paths or "" in paths:
        raise ConfigError("command line: -c names no file: give a YAML file after it")
    if len(paths) > 1:
        raise ConfigError(f"command line: -c is given {len(paths)} times: keep one")
    return CommandLine(
        path=paths[0] if paths else None,
        options=tuple(options),
        extra=tuple(extra),
        wants_help=bool(switches & {"-h", "--help"}),
        wants_options="--print_config" in switches,
    )


def _value_from(arguments: list[str]) -> str | None:
    """Take the last argument, unless it is an option; a negative number is none."""
    if not arguments or (arguments[-1].startswith("-") and not NEGATIVE.match(arguments[-1])):
        return None
    return arguments.pop()
