"""A YAML file is read without leniency."""

import os
from pathlib import Path

import pytest

from mindcv.config import load_config
from mindcv.config.yaml_file import load_mapping


def test_load_mapping_keeps_the_order_of_the_file(recipe):
    assert list(load_mapping(recipe("opt: sgd\nlr: 1\nmode: 0")).items()) == [
        ("opt", "sgd"),
        ("lr", 1),
        ("mode", 0),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "contains no options: write at least one 'key: value' line"),
        ("# nothing\n", "contains no options: write at least one 'key: value' line"),
        ("- lr\n- 1", "is not a mapping: write 'key: value' lines"),
        ("lr", "is not a mapping: write 'key: value' lines"),
        (b"lr: \xff", "is not UTF-8 text: give a YAML file after -c"),
        ("lr: 1\nopt: sgd\nlr: 1\n", "line 3: 'lr' is duplicated: keep one"),
        ("lr: !!map [1]", "line 1: invalid YAML (a tag does not fit its value): fix it"),
        ('"a\\nb": 1\n"a\\nb": 2', "line 2: 'a b' is duplicated: keep one"),
        ("lr: 1\n2: 3", "line 2: 2 is not a name: fix the key"),
        ("? [1]\n: 2", "line 1: [1] is not a name: fix the key"),
        ("lr: [1", "line 1: invalid YAML (expected ',' or ']', but got '<stream end>'): fix it"),
        ("lr: 1\n---\nlr: 2", "line 2: invalid YAML (but found another document): fix it"),
        (
            "lr: \x07",
            "invalid YAML (unacceptable character #x0007: special characters are not allowed): fix it",
        ),
        ("lr: 2020-99-99", "invalid YAML (month must be in 1..12): fix it"),
        ("lr: !!timestamp x", "invalid YAML (a !!tag does not fit its value): fix it"),
        ("shuffle: !!bool maybe", "invalid YAML (a !!tag does not fit its value): fix it"),
        ('seed: !!int ""', "invalid YAML (a !!tag does not fit its value): fix it"),
        ("seed: 1\nlr: 1" + "0" * 400, "line 2: the number is too large: lower it"),
        ("seed: 0x" + "f" * 5000, "line 1: the number is too large: lower it"),
        (
            "lr: !!python/object:os.system 1",
            "line 1: invalid YAML (could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object:os.system'): fix it",
        ),
    ],
)
def test_a_file_that_holds_no_options_is_explained(recipe, content, expected, message):
    path = recipe(content)
    assert message("-c", path) == f"{path}: {expected}"


def test_a_file_that_cannot_be_read_is_named(tmp_path, message):
    missing = tmp_path / "missing.yaml"
    assert message("-c", str(missing)) == f"{missing}: no such file: check the path after -c"
    assert message("-c", str(tmp_path)) == (
        f"{tmp_path}: cannot be read (Is a directory): give a readable YAML file after -c"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_named(recipe, message):
    path = recipe("lr: 1")
    Path(path).chmod(0)
    assert message("-c", path) == (
        f"{path}: cannot be read (Permission denied): give a readable YAML file after -c"
    )


def test_a_recipe_of_the_package_is_found_by_its_name_unless_a_file_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "mnasnet0.75_digits_cpu.yaml"
    assert load_config(["-c", name]).dataset.name == "digits"
    Path(name).write_text("seed: 7")
    assert load_config(["-c", name]) == load_config(["--seed", "7"])


def test_a_recipe_in_another_folder_is_not_looked_for_in_the_package(tmp_path, message):
    missing = tmp_path / "mnasnet0.75_digits_cpu.yaml"
    assert message("-c", str(missing)) == (
        f"{missing}: no such file: check the path after -c; did you mean 'mnasnet0.75_digits_cpu.yaml'?"
    )
