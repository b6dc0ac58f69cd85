"""A YAML file is read without leniency."""

import os
from pathlib import Path

import pytest

from mindcv.config import load_config
from mindcv.config.yaml_file import dump_mapping, load_mapping

TAG = "line 1: !!{} is not supported: write the value without a !tag"
ALIAS = "& and * are not supported: write the value out, or quote it"


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("017", 17),
        ("0o17", 15),
        ("-0x1F", "-0x1F"),
        ("0x1F", 31),
        ("+5", 5),
        ("12:30", "12:30"),
        ("1:20.5", "1:20.5"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("2020-01-01", "2020-01-01"),
        ("1e-5", 1e-5),
        ("-1E+5", -1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1.e2", 100.0),
        (".", "."),
        ("e5", "e5"),
        ("yes", True),
        ("Off", False),
        ("y", "y"),
        ("~", None),
        ("null", None),
        ("none", "none"),
        ("=", "="),
        ("'017'", "017"),
    ],
)
def test_scalars_are_those_of_yaml_1_2_and_yes_and_no(recipe, scalar, value):
    for text in (f"key: {scalar}", dump_mapping({"key": value})):
        read = load_mapping(recipe(text))["key"]
        assert (read, type(read)) == (value, type(value))


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
        ("lr: !!map [1]", TAG.format("map")),
        ("lr: !!set 1", TAG.format("set")),
        ("lr: !!set {a, b}", TAG.format("set")),
        ("!!map lr", TAG.format("map")),
        ("lr: ! 1", "line 1: ! is not supported: write the value without a !tag"),
        ("opt: sgd\nlr: &a 1\nmin_lr: *a", f"line 2: {ALIAS}"),
        ("lr: *a", f"line 1: {ALIAS}"),
        ("<<: {lr: 1}", "unknown option '<<'; --help lists all options"),
        ("mean: " + "[" * 8, "line 1: lists and mappings are nested too deep: write 'key: value' lines"),
        (
            "".join(f"k{i}: 1\n" for i in range(1000)),
            "line 1000: more than 2000 keys and values: remove some",
        ),
        ("#" * 65537, "is larger than 64 kB: give a YAML file with options after -c"),
        ('"a\\nb": 1\n"a\\nb": 2', "line 2: 'a b' is duplicated: keep one"),
        ("lr: 1\n2: 3", "line 2: 2 is not a name: fix the key"),
        ("? [1]\n: 2", "line 1: [1] is not a name: fix the key"),
        ("lr: [1", "line 1: invalid YAML (expected ',' or ']', but got '<stream end>'): fix it"),
        ("lr: 1\n---\nlr: 2", "line 2: invalid YAML (but found another document): fix it"),
        (
            "lr: \x07",
            "invalid YAML (unacceptable character #x0007: special characters are not allowed): fix it",
        ),
        ("lr: 2020-99-99", "lr=2020-99-99 does not fit: give a number"),
        ("epoch_size: 12:30", "epoch_size=12:30 does not fit: give an integer"),
        ("epoch_size: 1_000", "epoch_size=1_000 does not fit: give an integer"),
        ("epoch_size: '*a'", "epoch_size=*a does not fit: give an integer"),
        (
            "mean: '[[[[[[[[[1]]]]]]]]]'",
            "mean=[[[[[[[[[1]]]]]]]]] does not fit: give a list of numbers, such as [1, 2, 3] or null",
        ),
        ("lr: !!timestamp x", TAG.format("timestamp")),
        ("shuffle: !!bool maybe", TAG.format("bool")),
        ('seed: !!int ""', TAG.format("int")),
        ("seed: 1\nlr: 1" + "0" * 400, "line 2: the number is too large: lower it"),
        ("seed: 0x" + "f" * 5000, "line 1: the number is too large: lower it"),
        ("lr: !!python/object:os.system 1", TAG.format("python/object:os.system")),
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
