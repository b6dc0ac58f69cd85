"""Files that are made to take seconds or gigabytes are answered at once."""

import tracemalloc
from time import process_time

import pytest

from mindcv.config import ConfigError, load_config

pytestmark = pytest.mark.hostile

SIZE = 60_000  # characters: just below the limit
ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
ATTACKS = {
    "aliases of aliases": ALIASES,
    "aliases in a text": f"mean: '{ALIASES}'",
    "20,000 keys": "".join(f"k{i}: 1\n" for i in range(20_000)),
    "keys below the limit on bytes": "".join(f"k{i}: 1\n" for i in range(6000)),
    "lists in lists": "[",
    "mappings in mappings": "{a: ",
    "keys of keys": "? ",
    "lists in lines": "- ",
    "deeper lines": "".join(" " * i + "-\n" for i in range(300)),
    "lists in a text": "lr: '" + "[" * SIZE + "'",
    "a list": "mean: [" + "1, " * (SIZE // 3) + "]",
    "a list below the limit": "multi_step_decay_milestones: [" + "1, " * 1900 + "]",
    "lines of a quoted text": "data_dir: '" + "\n " * (SIZE // 3) + "'",
    "escapes": 'data_dir: "' + "\\x41" * (SIZE // 4 - 10) + '"',
    "a long key": "k" * SIZE + ": 1",
    "a long key that is quoted": "? '" + "k" * SIZE + "'\n: 1",
    "a long number": "lr: " + "1" * SIZE,
    "a long fraction": "lr: 0." + "1" * SIZE,
    "a long exponent": "lr: 1e" + "9" * SIZE,
    "zeros before a number": "epoch_size: " + "0" * SIZE + "1",
    "a long name": "model: " + "m" * SIZE,
    "directives": "%A\n",
    "documents": "---\n",
    "colons": "a:",
    "a megabyte": "#" * 2**20,
}


def answer(recipe, attack: str) -> str:
    """The message about a file; empty if it is a valid configuration."""
    text = ATTACKS[attack]
    path = recipe(text if len(text) > 50 else (text * SIZE)[:SIZE])
    try:
        load_config(["-c", path])
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_file_made_to_be_slow_is_answered_within_a_second(recipe, attack):
    start = process_time()
    said = answer(recipe, attack)
    assert process_time() - start < 1
    assert len(said) < 500
    assert (said == "") == (attack == "a long fraction")


@pytest.mark.parametrize(
    "attack", ["aliases of aliases", "20,000 keys", "a megabyte", "a list below the limit"]
)
def test_a_file_made_to_be_large_in_memory_takes_less_than_10_mb(recipe, attack):
    tracemalloc.start()
    answer(recipe, attack)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < 10 * 2**20


@pytest.mark.parametrize("value", [ALIASES, "[" * 100_000, "1" * 100_000, "x" * 100_000, "[1, " * 30_000])
def test_a_value_made_to_be_slow_is_answered_within_a_second(value, message):
    start = process_time()
    for key in ("mean", "lr", "seed", "shuffle", "mode", "color_jitter", "data_dir", "model"):
        if (key, value) not in (("data_dir", ALIASES), ("model", ALIASES)):  # which are texts, and short
            assert len(message(f"--{key}", value)) < 500
    assert process_time() - start < 1
