"""Whatever a file or a command line holds, there is a config or an error of one line."""

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mindcv.config import OPTION_TYPES, ConfigError, load_config
from mindcv.config.loading import ALIASES
from mindcv.config.mindcv_files import MINDCV_OFF, translate_mindcv
from mindcv.config.yaml_file import dump_mapping, load_mapping

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.dates()
    | st.binary(max_size=4)
    | st.sampled_from(["0", "CE", "sgd", "top_k", 0, 1, 3, 0.5, 10**30, "1e-3", "\n", ""])
)


values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=3), scalars, max_size=2)


keys = (
    st.sampled_from(sorted(OPTION_TYPES) + sorted(MINDCV_OFF) + sorted(ALIASES) + ["filter_bias_and_bn"])
    | st.text(max_size=8)
    | scalars.filter(lambda key: key == key)
)


fast = settings(
    max_examples=50,
    phases=[Phase.generate, Phase.shrink],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def check_outcome(*argv: str) -> None:
    """A config that survives being written and read, or an error of one line."""
    try:
        written = load_config(argv).options()
    except ConfigError as error:
        written, said = None, str(error)
    if written is None:
        assert len(said.splitlines()) == 1
    else:
        assert translate_mindcv(load_text(dump_mapping(written))) == written


def load_text(text: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return load_mapping(str(path))


def load_from_file(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_bytes(content)
        check_outcome("-c", str(path))


@fast
@given(st.dictionaries(keys, values, max_size=4))
def test_any_mapping_gives_a_config_or_an_error_of_one_line(mapping):
    load_from_file(yaml.safe_dump(mapping, allow_unicode=False).encode())


@fast
@given(st.sampled_from(sorted(OPTION_TYPES)), values)
def test_any_value_of_an_option_gives_a_config_or_an_error_of_one_line(key, value):
    load_from_file(yaml.safe_dump({key: value}).encode())


YAML_PIECES = [
    "lr",
    "mode",
    "a",
    ": ",
    ":",
    "\n",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "1",
    "1e-3",
    "0x",
    "'",
    '"',
    "&b ",
]
YAML_PIECES += [
    "*b",
    "!!int ",
    "!!bool ",
    "!!set ",
    "!!timestamp ",
    "!!binary ",
    "!!map ",
    "? ",
    "<<",
    "|",
    ">",
    "#",
]
YAML_PIECES += [
    "---",
    "...",
    "%",
    "\t",
    " ",
    "  ",
    "~",
    ".nan",
    "2020-13-01",
    "=",
    "\\",
    "\x00",
    "ü",
    "\u2028",
]


@fast
@given(
    st.lists(st.sampled_from(YAML_PIECES), max_size=12).map("".join).map(str.encode) | st.binary(max_size=40)
)
def test_any_file_gives_a_config_or_an_error_of_one_line(content):
    load_from_file(content)


@fast
@given(
    st.sampled_from(sorted(OPTION_TYPES)), st.text(max_size=8) | st.sampled_from(YAML_PIECES), st.booleans()
)
def test_any_command_line_value_gives_a_config_or_an_error_of_one_line(key, value, joined):
    check_outcome(*([f"--{key}={value}"] if joined else [f"--{key}", value]))


@pytest.mark.parametrize("depth", [1, 100, 300, 1000])
def test_deep_nesting_gives_an_error_of_one_line(recipe, depth, message):
    path = recipe("mean: " + "[" * depth + "]" * depth)
    assert message("-c", path).startswith(f"{path}: ")
