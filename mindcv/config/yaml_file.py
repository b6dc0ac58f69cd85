"""Strict reading of YAML files with options."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from mindcv.errors import ConfigError, did_you_mean

__all__ = ["dump_mapping", "find_recipe", "is_recipe", "load_mapping"]

RECIPES = Path(__file__).parents[1] / "recipes"  # a copy of configs/mnasnet in the installed package


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which rejects a duplicated key and reads 1e-3 as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):  # such as !!map [1]
            raise ConstructorError(None, None, "a tag does not fit its value", node.start_mark)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        seen = set()
        for (key_node, _), key in zip(node.value, keys, strict=True):
            if not isinstance(key, str):
                raise ConfigError(f"line {key_node.start_mark.line + 1}: {key!r} is not a name: fix the key")
            if key in seen:
                raise ConfigError(f"line {key_node.start_mark.line + 1}: '{key}' is duplicated: keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        value = super().construct_yaml_int(node)
        if abs(value) >= 2**63:  # neither a float nor a message could hold it
            raise ConfigError(f"line {node.start_mark.line + 1}: the number is too large: lower it")
        return value


class _StrictDumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes a string that _StrictLoader would read as a number."""


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)
for _yaml in (_StrictLoader, _StrictDumper):
    # YAML 1.1, which PyYAML follows, wants a dot in a float: without this 1e-3 would be a text.
    _yaml.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )


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
        ConfigError: If the file is missing, unreadable, empty, invalid YAML, not a mapping, or duplicates a
            key. The message does not name the file: the caller does.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        recipes = [recipe.name for recipe in RECIPES.glob("*.yaml")]
        hint = did_you_mean(Path(path).name, recipes)
        raise ConfigError(f"no such file: check the path after -c{hint}") from None
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror}): give a readable YAML file after -c") from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text: give a YAML file after -c") from None
    except ValueError:
        raise ConfigError("is not the name of a file: give a YAML file after -c") from None
    try:
        mapping = yaml.load(text, Loader=_StrictLoader)
    except ConfigError:  # a ValueError, but already explained
        raise
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"line {line}: invalid YAML ({error.problem}): fix it") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"invalid YAML ({reason}): fix it") from None
    except (AttributeError, LookupError):  # PyYAML's own, where a tag and its value disagree
        raise ConfigError("invalid YAML (a !!tag does not fit its value): fix it") from None
    if mapping is None:
        raise ConfigError("contains no options: write at least one 'key: value' line")
    if not isinstance(mapping, dict):
        raise ConfigError("is not a mapping: write 'key: value' lines")
    return mapping


def dump_mapping(mapping: Mapping[str, Any]) -> str:
    """Return a mapping as YAML that `load_mapping` reads back equal, in the mapping's order."""
    return yaml.dump(dict(mapping), Dumper=_StrictDumper, sort_keys=False)
