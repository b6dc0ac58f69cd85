"""A YAML file is read without leniency, and MindCV's own keys are understood."""

import os
from pathlib import Path

import pytest
import yaml

from mindcv.config import ConfigError, load_config
from mindcv.config.yaml_file import MINDCV_OFF, MINDCV_TUNES_OFF, load_mapping, translate_mindcv


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


@pytest.mark.parametrize("key", sorted(MINDCV_OFF))
def test_mindcv_switches_are_dropped_when_off_and_refused_when_on(key):
    for off in MINDCV_OFF[key]:
        assert translate_mindcv({key: off, "lr": 0.5}) == {"lr": 0.5}
    off = MINDCV_OFF[key][0]
    remedy = f"remove the line, or set it to {'null' if off is None else off}"
    for on in ("something", 0.25, True, [1]):
        with pytest.raises(ConfigError) as caught:
            translate_mindcv({key: on})
        assert str(caught.value) == f"{key}={on} is not available: {remedy}"


def test_a_file_with_mindcv_switches_loads_when_they_are_off(recipe, message):
    path = recipe(yaml.safe_dump({key: off[-1] for key, off in MINDCV_OFF.items()} | {"lr": 0.5}))
    assert load_config(["-c", path]) == load_config(["--lr", "0.5"])
    path = recipe('aug_splits: "three\ntimes"')
    assert message("-c", path) == (
        f"{path}: aug_splits=three times is not available: remove the line, or set it to 0"
    )
    said = message("--resume_opt", "true")
    assert said.startswith("command line: unknown option 'resume_opt'; ")


def test_what_only_tunes_a_mindcv_switch_is_dropped(recipe):
    path = recipe("".join(f"{key}: 0.3\n" for key in sorted(MINDCV_TUNES_OFF)))
    assert load_config(["-c", path]) == load_config([])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("filter_bias_and_bn: true", "norm_and_bias"),
        ("filter_bias_and_bn: false", "disable"),
        ("filter_bias_and_bn: true\nweight_decay_filter: norm_and_bias", "norm_and_bias"),
        ("weight_decay_filter: auto", "auto"),
    ],
)
def test_filter_bias_and_bn_is_an_older_name(recipe, text, expected):
    assert load_config(["-c", recipe(text)]).optimizer.weight_decay_filter == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("filter_bias_and_bn: 1", "filter_bias_and_bn=1 is neither true nor false: use weight_decay_filter"),
        (
            "filter_bias_and_bn: true\nweight_decay_filter: auto",
            "filter_bias_and_bn=True contradicts weight_decay_filter=auto: keep the latter",
        ),
    ],
)
def test_filter_bias_and_bn_that_says_nothing_clear_is_refused(recipe, text, expected, message):
    path = recipe(text)
    assert message("-c", path) == f"{path}: {expected}"


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
