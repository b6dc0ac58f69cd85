"""Strict reading of YAML files with options: the scalars of YAML 1.2, within limits."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mindcv.errors import ConfigError, did_you_mean

__all__ = ["dump_mapping", "find_recipe", "is_recipe", "load_mapping", "load_value"]

RECIPES = Path(__file__).parents[1] / "recipes"  # a copy of configs/mnasnet in the installed package

# The largest recipe has 2 kB, 70 keys and values, and lists in a mapping.
LARGEST_FILE = 64 * 1024  # bytes
MOST_NODES = 2000
DEEPEST = 8

INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
# MindCV's files may say yes and no, as YAML 1.1 allows.
BOOL = re.compile(r"(?i:yes|no|true|false|on|off)")
NULL = re.compile(r"~|null|Null|NULL|")


class _StrictLoader(yaml.SafeLoader):
    """A safe loader of plain values: no tags, no anchors, no aliases, and no key twice.

    It reads 1e-3 as a number and 017 as 17, and leaves 12:30, 1_000 and 2020-01-01 as text: YAML 1.1, which
    PyYAML follows, has other scalars.
    """

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012, as in PyYAML: without those of YAML 1.1

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise ConfigError(f"line {line}: & and * are not supported: write the value out, or quote it")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise ConfigError(f"line {line}: {tag} is not supported: write the value without a !tag")
        self._depth += 1
        self._nodes += 1
        if self._depth > DEEPEST:
            raise ConfigError(
                f"line {line}: lists and mappings are nested too deep: write 'key: value' lines"
            )
        if self._nodes > MOST_NODES:
            raise ConfigError(f"line {line}: more than {MOST_NODES} keys and values: remove some")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConfigError(f"line {key_node.start_mark.line + 1}: {key!r} is not a name: fix the key")
            if key in seen:
                raise ConfigError(f"line {key_node.start_mark.line + 1}: '{key}' is duplicated: keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(node.value)
        value = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if len(text) <= 100 else 2**63
        if abs(value) >= 2**63:  # neither a float nor a message could hold it
            raise ConfigError(f"line {node.start_mark.line + 1}: the number is too large: lower it")
        return value


class _StrictDumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes a string that _StrictLoader would read as a number."""


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)
for _kind, _pattern, _first in (
    ("null", NULL, ["~", "n", "N", ""]),
    ("bool", BOOL, list("yYnNtTfFoO")),
    ("int", INT, list("-+0123456789")),
    ("float", FLOAT, list("-+.0123456789")),
):
    _complete = re.compile(f"^(?:{_pattern.pattern})$")
    for _yaml in (_StrictLoader, _StrictDumper):
        _yaml.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", _complete, _first)


def find_recipe(path: str) -> str:
    """Return the path of a YAML file: an existing file, or a recipe of this package by its name."""
    recipe = RECIPES / path
    try:
        shipped = Path(path).name == path and not Path(path).exists() and recipe.is_file()
    except (OSError, ValueError):  # not a name that a file can have; reading it tells why
        return path
    return str(recipe) if shipped else path


def is_recipe(path: str) -> bool:
    """Return whether a YAML file is one of this project's recipes."""
    return Path(find_recipe(path)).resolve().parent == RECIPES.resolve()


def load_mapping(path: str) -> dict[str, Any]:
    """Read a YAML file that holds one flat mapping.

    Args:
        path: The file.

    Returns:
        The mapping, in the order of the file.

    Raises:
        ConfigError: If the file is missing, unreadable, too large, empty, invalid YAML, not a mapping, or
            duplicates a key. The message does not name the file: the caller does.
    """
    mapping = load_value(_read(path))
    if mapping is None:
        raise ConfigError("contains no options: write at least one 'key: value' line")
    if not isinstance(mapping, dict):
        raise ConfigError("is not a mapping: write 'key: value' lines")
    return mapping


def load_value(text: str) -> Any:
    """Read a YAML text, such as a value on a command line.

    Raises:
        ConfigError: If it is invalid YAML, or exceeds the limits on size, depth and numbers.
    """
    if len(text) > LARGEST_FILE:
        raise ConfigError(f"is longer than {LARGEST_FILE // 1024} kB: shorten it")
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except ConfigError:  # a ValueError, but already explained
        raise
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"line {line}: invalid YAML ({error.problem}): fix it") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"invalid YAML ({str(error).partition(chr(10))[0]}): fix it") from None


def _read(path: str) -> str:
    """Return the text of a file, which may be a pipe or a device: no more than the limit is read."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        recipes = [recipe.name for recipe in RECIPES.glob("*.yaml")]
        hint = did_you_mean(Path(path).name, recipes)
        raise ConfigError(f"no such file: check the path after -c{hint}") from None
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror}): give a readable YAML file after -c") from None
    except ValueError:
        raise ConfigError("is not the name of a file: give a YAML file after -c") from None
    if len(content) > LARGEST_FILE:
        raise ConfigError(f"is larger than {LARGEST_FILE // 1024} kB: give a YAML file with options after -c")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text: give a YAML file after -c") from None


def dump_mapping(mapping: Mapping[str, Any]) -> str:
    """Return a mapping as YAML that `load_mapping` reads back equal, in the mapping's order."""
    return yaml.dump(dict(mapping), Dumper=_StrictDumper, sort_keys=False)
