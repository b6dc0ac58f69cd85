"""One typed, frozen `Config` from one YAML file and the command line.

Later wins: the defaults, then the options stored in a checkpoint, then the YAML file, then the command line.
Keys are flat and named as in MindCV. Any mistake raises a `ConfigError`, one line that names file, key, value
and remedy.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from mindcv.config.command_line import CommandLine, split_options
from mindcv.config.help import help_text
from mindcv.config.mindcv_files import MINDCV_NAMES, kept_differences, translate_mindcv
from mindcv.config.schema import OPTION_TYPES, OPTIONS, Config
from mindcv.config.values import described, read_options, read_text
from mindcv.config.yaml_file import dump_mapping, find_recipe, is_recipe, load_mapping, load_value
from mindcv.errors import LONGEST_NAME, ConfigError, one_line
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
    arguments = _split(argv)
    mapping = _load_file(arguments.path)
    config = _combined(_layers(arguments, mapping, stored or {}, stored_in))
    _tell_differences(arguments, mapping, config, stored or {})
    if arguments.wants_options:
        print(dump_mapping(config.options()), end="")
        raise SystemExit(0)
    return config


def given_option(argv: Sequence[str], name: str) -> Any:
    """Return the value of one option without the options stored in a checkpoint that it may name.

    Raises:
        ConfigError: If the YAML file or the command line is wrong. Whether the options fit together is not
            checked.
    """
    arguments = _split(argv)
    layers = _layers(arguments, _load_file(arguments.path), {}, "")
    return layers[-1][1].get(name, OPTIONS[name].default)


def _split(argv: Sequence[str]) -> CommandLine:
    """The command line in its parts; one that asks for help gets it, and ends the program."""
    arguments = split_options(argv)
    if arguments.wants_help:
        print(help_text(), end="")
        raise SystemExit(0)
    return arguments


def _load_file(path: str | None) -> Mapping[str, Any]:
    """The options as they stand in the YAML file, if one is given."""
    if path is None:
        return {}
    with _blaming(path):
        return load_mapping(find_recipe(path))


def _layers(
    arguments: CommandLine, mapping: Mapping[str, Any], stored: Mapping[str, Any], stored_in: str
) -> list[tuple[str, Mapping[str, Any]]]:
    """The options with their source, each layer on top of those below it."""
    with _blaming(stored_in):
        from_checkpoint = _from_mapping(stored)
    path = arguments.path or stored_in
    with _blaming(path):
        from_file = {**from_checkpoint, **_from_mapping(translate_mindcv(mapping))}
    with _blaming("command line"):
        options = {**from_file, **_from_command_line(arguments)}
    return [(stored_in, from_checkpoint), (path, from_file), ("command line", options)]


def _from_mapping(options: Mapping[str, Any]) -> dict[str, Any]:
    for name in options:
        _check_name(name)
    return read_options(options)


def _from_command_line(arguments: CommandLine) -> dict[str, Any]:
    options = {}
    theirs = {
        name: load_value("true" if text is None else text)
        for name, text in arguments.options
        if name in MINDCV_NAMES
    }
    if theirs.get("amp_cast_list") not in (None, "", [], "None"):
        raise ConfigError(f"amp_cast_list={theirs['amp_cast_list']}: leave it out, amp_level decides alone")
    ours = [(name, text) for name, text in arguments.options if name not in MINDCV_NAMES]
    for name, _ in ours:
        _check_name(name)
    for name, text in ours:
        if text is None:
            raise ConfigError(f"--{name} lacks a value: give {described(OPTION_TYPES[name])}")
        options[name] = read_text(name, text)
    for argument in arguments.extra:
        is_recipe_file = argument.lower().endswith((".yaml", ".yml"))
        remedy = f"did you mean -c {argument}?" if is_recipe_file else "give options as --name value"
        raise ConfigError(f"unknown argument '{argument}': {remedy}")
    return {**_from_mapping(translate_mindcv(theirs)), **options}


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


def _tell_differences(
    arguments: CommandLine, mapping: Mapping[str, Any], config: Config, stored: Mapping[str, Any]
) -> None:
    """Say in one line where a file of MindCV keeps another meaning."""
    path, launch = arguments.path, detect_launch()
    if path is None or is_recipe(path) or launch.rank or launch.is_scheduler:
        return
    given = {name for name, _ in arguments.options}
    differences = kept_differences(mapping, config.options(), {*mapping, *stored, *given})
    if differences:
        told = f"{path}: unlike in MindCV, {'; '.join(differences)} (see docs/migration.md)"
        print(one_line(told), file=sys.stderr)


@contextmanager
def _blaming(source: str) -> Iterator[None]:
    """Prefix an error with the source of the option."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def _check_name(name: str) -> None:
    """Reject an unknown option and suggest the nearest valid one."""
    if name not in OPTION_TYPES:
        known = [*OPTION_TYPES, *ALIASES] if len(name) <= LONGEST_NAME else []
        near = get_close_matches(name, known, n=1, cutoff=0.75)
        meant = ALIASES.get(near[0], near[0]) if near else None
        remedy = f"did you mean '{meant}'?" if meant else "--help lists all options"
        raise ConfigError(f"unknown option '{name}'; {remedy}")
