"""One typed, frozen `Config` from one YAML file and the command line.

Later wins: the defaults, then the options stored in a checkpoint, then the YAML file, then the command line.
Keys are flat and named as in MindCV. Any mistake raises a `ConfigError`, one line that names file, key, value
and remedy.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, make_dataclass
from difflib import get_close_matches
from typing import Any

from jsonargparse import ArgumentParser

from mindcv.config.command_line import config_path, expand_flags
from mindcv.config.mindcv_files import kept_differences, translate_mindcv
from mindcv.config.option import Section, options_of, title_of
from mindcv.config.schema import OPTION_TYPES, OPTIONS, SECTIONS, Config
from mindcv.config.values import checked, misfit, respelled, respelled_arguments
from mindcv.config.yaml_file import dump_mapping, find_recipe, is_recipe, load_mapping
from mindcv.errors import ConfigError
from mindcv.runtime.launch import detect_launch
from mindcv.runtime.program import exit_with

__all__ = ["ALIASES", "given_option", "load_config", "parse_args"]

# Names in other toolkits, where spelling alone would not lead to ours.
ALIASES = {alias: name for name, option in OPTIONS.items() for alias in option.aliases}


def parse_args(
    argv: Sequence[str] | None = None,
    stored: Mapping[str, Any] | None = None,
    *,
    stored_in: str = "checkpoint",
) -> Config:
    """Read the options of a program; print a mistake in one line and exit with status 2.

    Args:
        argv: Command line without the program's name; by default this process's own.
        stored: Options stored in a file, see `load_config`.
        stored_in: That file.
    """
    try:
        return load_config(sys.argv[1:] if argv is None else argv, stored, stored_in=stored_in)
    except ConfigError as error:
        exit_with(error)


def load_config(
    argv: Sequence[str], stored: Mapping[str, Any] | None = None, *, stored_in: str = "checkpoint"
) -> Config:
    """Read the options of a program.

    Args:
        argv: Command line without the program's name, such as ``["-c", "recipe.yaml", "--lr", "0.1"]``.
        stored: Flat options stored in a file, as from `Config.options`: they win over the defaults, and the
            YAML file and the command line win over them.
        stored_in: That file, for messages.

    Raises:
        ConfigError: If the stored options, the YAML file or the command line are wrong; one line says how.
    """
    layers, arguments = _layers(argv, stored or {}, stored_in)
    config = _combined(layers)
    _tell_differences(arguments, config, stored or {})
    if "--print_config" in arguments:
        print(dump_mapping(config.options()), end="")
        raise SystemExit(0)
    return config


def given_option(argv: Sequence[str], name: str) -> Any:
    """Return the value of one option without the options stored in a checkpoint that it may name.

    Raises:
        ConfigError: If the YAML file or the command line is wrong. Whether the options fit together is not
            checked.
    """
    layers, _ = _layers(argv, {}, "")
    return layers[-1][1][name]


def _layers(
    argv: Sequence[str], stored: Mapping[str, Any], stored_in: str
) -> tuple[list[tuple[str, Mapping[str, Any]]], list[str]]:
    """The options with their source, each layer on top of those below it, and the expanded command line."""
    parser = _parser()
    arguments = expand_flags(argv)
    path = config_path(arguments)
    from_checkpoint: dict[str, Any] = {}
    if stored:
        with _blaming(stored_in):
            from_checkpoint = _from_mapping(parser, stored)
        parser.set_defaults(from_checkpoint)
    from_file: dict[str, Any] = {}
    if path is not None:
        with _blaming(path):
            from_file = _from_mapping(parser, translate_mindcv(load_mapping(find_recipe(path))))
        parser.set_defaults(from_file)
    with _blaming("command line"):
        options = _from_command_line(parser, arguments)
    layers = [
        (stored_in, from_checkpoint),
        (path or stored_in, {**from_checkpoint, **from_file}),
        ("command line", options),
    ]
    return layers, arguments


def _from_mapping(parser: ArgumentParser, options: Mapping[str, Any]) -> dict[str, Any]:
    _check_names(options)
    parsed = vars(_parse(parser.parse_object, checked(respelled(options))))
    return {key: parsed[key] for key in options}


def _from_command_line(parser: ArgumentParser, arguments: Sequence[str]) -> Mapping[str, Any]:
    _check_names(name for name in _given_names(arguments) if name not in ("config", "print_config", "help"))
    given = [a for a in respelled_arguments(arguments) if a != "--print_config"]
    return checked(vars(_parse(parser.parse_args, given)))


def _given_names(arguments: Sequence[str]) -> list[str]:
    return [argument[2:].split("=")[0] for argument in arguments if argument.startswith("--")]


def _combined(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Config:
    """Check all options together; blame the lowest layer that is wrong on its own."""
    *below, (source, options) = layers
    try:
        return Config.from_options(options)
    except ConfigError as error:
        reason = str(error)
    for where, part in below:
        try:
            Config.from_options(part)
        except ConfigError as error:
            if str(error) == reason:
                raise ConfigError(f"{where}: {reason}") from None
    raise ConfigError(f"{source}: {reason}")


def _tell_differences(arguments: Sequence[str], config: Config, stored: Mapping[str, Any]) -> None:
    """Say in one line where a file of MindCV keeps another meaning."""
    path, launch = config_path(arguments), detect_launch()
    if path is None or is_recipe(path) or launch.rank or launch.is_scheduler:
        return
    mapping = load_mapping(find_recipe(path))
    differences = kept_differences(mapping, config.options(), {*mapping, *stored, *_given_names(arguments)})
    if differences:
        print(f"{path}: unlike in MindCV, {'; '.join(differences)} (see docs/migration.md)", file=sys.stderr)


@contextmanager
def _blaming(source: str) -> Iterator[None]:
    """Prefix an error with the source of the option."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        exit_on_error=False,
        allow_abbrev=False,
        usage="%(prog)s [-c FILE] [--option value ...]",
        description="Options come from the YAML file after -c; those on the command line win over it.",
    )
    parser.add_argument("-c", "--config", metavar="FILE", help="YAML file with options")
    parser.add_argument("--print_config", action="store_true", help="print all options as YAML, and exit")
    for section in SECTIONS.values():
        parser.add_class_arguments(_flat_section(section), as_group=True)
    return parser


def _flat_section(section: type[Section]) -> type:
    """A class whose parameters are the section's options by their flat names, for jsonargparse."""
    options = options_of(section)
    helps = [f"    {o.name}: {o.help}{f' Unit: {o.unit}.' if o.unit else ''}" for o in options]
    return make_dataclass(
        section.__name__,
        [(o.name, o.kind, field(default=o.default)) for o in options],
        namespace={"__doc__": "\n".join([f"{title_of(section)}.", "", "Args:", *helps])},
        kw_only=True,
    )


def _check_names(names: Iterable[str]) -> None:
    """Reject an unknown option and suggest the nearest valid one."""
    for name in names:
        if name not in OPTION_TYPES:
            near = get_close_matches(name, [*OPTION_TYPES, *ALIASES], n=1, cutoff=0.75)
            meant = ALIASES.get(near[0], near[0]) if near else None
            remedy = f"did you mean '{meant}'?" if meant else "--help lists all options"
            raise ConfigError(f"unknown option '{name}'; {remedy}")


def _parse(parse: Callable[..., Any], source: Any) -> Any:
    """Let jsonargparse parse, and turn its error into one line."""
    try:
        return parse(source, env=False)  # environment variables are not options
    except argparse.ArgumentError as error:
        text = str(error)
    except (AttributeError, LookupError, OverflowError):  # PyYAML's own, and float's for a huge int
        raise ConfigError("a value is invalid YAML or too large a number: fix it") from None
    key = re.search(r'key "(\w+)"', text)
    value = re.search(r"(?:Got|Given) value: (.*)", text, re.DOTALL)
    if key and value:
        raise ConfigError(misfit(key[1], " ".join(value[1].split())))
    raise ConfigError(" ".join(text.split()))
