"""One typed, frozen `Config` from one YAML file and the command line.

Later wins: the defaults in `options`, then what a checkpoint has kept of them, then the YAML file, then the
command line. Keys are flat and named as in MindCV. Whatever is wrong ends in a `ConfigError`, one line that
names file, key, value and remedy.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from time import sleep
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from jsonargparse import ArgumentParser

from mindcv.config.checks import ConfigError
from mindcv.config.command_line import config_path, expand_flags
from mindcv.config.schema import OPTION_TYPES, SECTIONS, Config
from mindcv.config.yaml_file import dump_mapping, load_mapping, translate_mindcv

__all__ = ["Config", "ConfigError", "given_option", "load_config", "parse_args", "refuse"]

# What users of other toolkits write, where spelling alone would not lead to our name.
SYNONYMS = {
    "arch": "model",
    "checkpoint_path": "ckpt_path",
    "data_path": "data_dir",
    "device": "device_target",
    "epochs": "epoch_size",
    "image_size": "image_resize",
    "learning_rate": "lr",
    "milestones": "multi_step_decay_milestones",
    "nesterov": "use_nesterov",
    "num_epochs": "epoch_size",
    "optimizer": "opt",
    "output_dir": "ckpt_save_dir",
    "workers": "num_parallel_workers",
}


def parse_args(
    argv: Sequence[str] | None = None,
    stored: Mapping[str, Any] | None = None,
    *,
    stored_in: str = "checkpoint",
) -> Config:
    """Read the options of a program; print in one line what is wrong with them, and exit with status 2.

    Args:
        argv: Command line without the program's name; by default this process's own.
        stored: Options that a file has kept, see `load_config`.
        stored_in: That file.
    """
    try:
        return load_config(sys.argv[1:] if argv is None else argv, stored, stored_in=stored_in)
    except ConfigError as error:
        refuse(str(error))


def refuse(message: str) -> NoReturn:
    """Print what is wrong with a program's options, once for all processes, and exit with status 2."""
    if _is_first_process():
        print(f"error: {message}", file=sys.stderr)
    else:
        # If this one ended first, mpirun could end the first process before it has spoken.
        sleep(2)
    raise SystemExit(2)


def _is_first_process() -> bool:
    """Whether this is the one of several processes that speaks: all have the same options."""
    ranks = (os.environ.get(name) for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MS_NODE_ID"))
    return next((rank for rank in ranks if rank), "0") == "0"


def load_config(
    argv: Sequence[str], stored: Mapping[str, Any] | None = None, *, stored_in: str = "checkpoint"
) -> Config:
    """Read the options of a program.

    Args:
        argv: Command line without the program's name, such as ``["-c", "recipe.yaml", "--lr", "0.1"]``.
        stored: Flat options that a file has kept, as from `Config.options`: they win over the defaults, and
            the YAML file and the command line over them.
        stored_in: That file, for messages.

    Raises:
        ConfigError: If the stored options, the YAML file or the command line are wrong; one line says how.
    """
    layers, arguments = _layers(argv, stored or {}, stored_in)
    config = _combined(layers)
    if "--print_config" in arguments:
        print(dump_mapping(config.options()), end="")
        raise SystemExit(0)
    return config


def given_option(argv: Sequence[str], name: str) -> Any:
    """The value of one option, before a checkpoint that it may name has been asked for the others.

    Raises:
        ConfigError: If the YAML file or the command line is wrong; whether the options fit together is not
            looked at.
    """
    layers, _ = _layers(argv, {}, "")
    return layers[-1][1][name]


def _layers(
    argv: Sequence[str], stored: Mapping[str, Any], stored_in: str
) -> tuple[list[tuple[str, Mapping[str, Any]]], list[str]]:
    """Options with where they come from, each layer with those below it; and the spelt-out command line."""
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
            from_file = _from_mapping(parser, translate_mindcv(load_mapping(path)))
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
    parsed = vars(_parse(parser.parse_object, _checked(options)))
    return {key: parsed[key] for key in options}


def _from_command_line(parser: ArgumentParser, arguments: Sequence[str]) -> Mapping[str, Any]:
    names = [argument[2:].split("=")[0] for argument in arguments if argument.startswith("--")]
    _check_names(name for name in names if name not in ("config", "print_config", "help"))
    return _checked(vars(_parse(parser.parse_args, [a for a in arguments if a != "--print_config"])))


def _combined(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Config:
    """Check all options together; blame the first layer that is wrong without those above it too."""
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


@contextmanager
def _blaming(source: str) -> Iterator[None]:
    """Put where an option came from in front of what is wrong with it."""
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
        parser.add_class_arguments(section, as_group=True)
    return parser


def _check_names(names: Iterable[str]) -> None:
    """Refuse an unknown option, and say which was probably meant."""
    for name in names:
        if name not in OPTION_TYPES:
            near = get_close_matches(name, [*OPTION_TYPES, *SYNONYMS], n=1)
            meant = SYNONYMS.get(near[0], near[0]) if near else None
            remedy = f"did you mean '{meant}'?" if meant else "--help lists all options"
            raise ConfigError(f"'{name}' is no option; {remedy}")


def _parse(parse: Callable[[Any], Any], source: Any) -> Any:
    """Let jsonargparse parse, and say what it found in one line."""
    try:
        return parse(source)
    except argparse.ArgumentError as error:
        text = str(error)
    except (AttributeError, LookupError, OverflowError):  # PyYAML's own, and float's for a huge int
        raise ConfigError("a value is no valid YAML or too large a number: mend it") from None
    key = re.search(r'key "(\w+)"', text)
    value = re.search(r"(?:Got|Given) value: (.*)", text, re.DOTALL)
    if key and value:
        raise ConfigError(_misfit(key[1], " ".join(value[1].split())))
    raise ConfigError(" ".join(text.split()))


def _checked(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse what jsonargparse lets pass: null where no null is meant, and true or 1.0 in place of 1."""
    for key, value in options.items():
        kind = OPTION_TYPES.get(key)
        if kind is not None and value is None and NoneType not in get_args(kind):
            raise ConfigError(_misfit(key, "null"))
        if get_origin(kind) is Literal and isinstance(value, (bool, float)):
            raise ConfigError(_misfit(key, value))
    return options


def _misfit(key: str, value: Any) -> str:
    kind = OPTION_TYPES[key]
    choices = [
        choice for part in (kind, *get_args(kind)) if get_origin(part) is Literal for choice in get_args(part)
    ]
    near = get_close_matches(str(value), [str(choice) for choice in choices], n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"{key}={value} does not fit: give {_described(kind)}{hint}"


def _described(kind: Any) -> str:
    """A type in plain words."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_described(part) for part in get_args(kind))
    if get_origin(kind) is tuple:
        first, *rest = get_args(kind)
        return f"a list of {_PLURALS[first]}, such as " + (
            "[1, 2, 3]" if rest == [Ellipsis] else "[0.5, 1.0]"
        )
    return _WORDS[kind]


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "null"}
_PLURALS = {int: "whole numbers", float: "numbers"}
