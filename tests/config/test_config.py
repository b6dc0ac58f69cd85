"""Options from a YAML file and the command line: what is read, and what wins."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from mindcv.config import (
    OPTION_TYPES,
    SECTIONS,
    Config,
    load_config,
)
from mindcv.config.option import options_of
from mindcv.config.sections.output import CheckpointConfig
from mindcv.config.sections.training import OptimizerConfig, ScheduleConfig

ROOT = Path(__file__).parents[2]


def options(*argv: str) -> dict:
    return load_config(argv).options()


def test_without_file_and_command_line_all_is_default():
    assert load_config([]) == Config.from_options({})


def test_command_line_wins_over_file_and_file_over_defaults(recipe):
    path = recipe("lr: 0.1\nopt: sgd\n")
    assert [options(*argv)["lr"] for argv in ([], ["-c", path], ["-c", path, "--lr", "0.2"])] == [
        0.001,
        0.1,
        0.2,
    ]
    assert load_config(["--lr", "0.2", "-c", path]).schedule.lr == 0.2
    assert load_config(["-c", path, "--lr", "0.2"]).optimizer.opt == "sgd"
    assert load_config(["--lr", "0.2", "--lr=0.3"]).schedule.lr == 0.3


def test_a_file_may_be_named_in_four_ways(recipe):
    path = recipe("lr: 0.1")
    for argv in (["-c", path], ["--config", path], [f"--config={path}"], [f"-c{path}"]):
        assert load_config(argv).schedule.lr == 0.1


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("min_lr: 1e-10", "min_lr", 1e-10),
        ("lr: 1E+2", "lr", 100.0),
        ("lr: 1", "lr", 1.0),
        ("mode: 1", "mode", 1),
        ("shuffle: no", "shuffle", False),
        ("scale: [1e-1, 1]", "scale", [0.1, 1.0]),
        ("mean: [1, 2, 3]", "mean", [1.0, 2.0, 3.0]),
        ("hflip: null", "hflip", None),
        ("data_dir: /höhe/图", "data_dir", "/höhe/图"),
        ("data_dir: '1e-3'", "data_dir", "1e-3"),
        ("multi_step_decay_milestones: [2, 3]", "multi_step_decay_milestones", [2, 3]),
        ("\ufeffseed: 7", "seed", 7),
        ("seed: 7\r\nlr: 1\r\n", "seed", 7),
    ],
)
def test_file_values_are_read(recipe, line, key, value):
    read = options("-c", recipe(line))[key]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--distribute"], True),
        (["--distribute", "--lr", "1"], True),
        (["--distribute", "-c", "FILE"], True),
        (["--distribute=true"], True),
        (["--distribute", "True"], True),
        (["--distribute", "false"], False),
        (["--lr", "1", "--distribute", "False"], False),
    ],
)
def test_a_bare_flag_means_true(recipe, argv, expected):
    path = recipe("distribute: false")
    read = options(*(path if argument == "FILE" else argument for argument in argv))
    assert read["distribute"] is expected


@pytest.mark.parametrize(
    ("argv", "key", "value"),
    [
        (["--lr", "1e-3"], "lr", 1e-3),
        (["--scale", "[0.2, 1]"], "scale", [0.2, 1.0]),
        (["--num_samples", "null"], "num_samples", None),
        (["--data_dir", "5"], "data_dir", "5"),
        (["--data_dir", "null"], "data_dir", None),
        (["--ckpt_save_dir", "1e-3"], "ckpt_save_dir", "1e-3"),
        (["--mode=1"], "mode", 1),
    ],
)
def test_command_line_values_are_read(argv, key, value):
    read = options(*argv)[key]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["-c", str(ROOT / "configs/mnasnet/mnasnet0.75_gpu.yaml"), "--seed", "7"],
        ["--ckpt_save_dir", "1e3", "--data_dir", "a: [null, 'ü']\n", "--mean", "[1, 2, 3]", "--hflip", "1"],
    ],
)
def test_printed_config_loads_back_equal(recipe, capsys, argv):
    with pytest.raises(SystemExit) as caught:
        load_config([*argv, "--print_config"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert list(yaml.safe_load(printed)) == list(OPTION_TYPES)
    assert load_config(["-c", recipe(printed)]) == load_config(argv)


def test_help_names_every_section_and_every_option_once(capsys):
    with pytest.raises(SystemExit) as caught:
        load_config(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert re.findall(r"^  (?:-h, |-c FILE, )?--(\w+)", text, re.MULTILINE) == [
        "help",
        "config",
        "print_config",
        *OPTION_TYPES,
    ]
    titles = [section.__doc__.split(".\n")[0] for section in SECTIONS.values()]
    assert re.findall(r"^(\S.*):$", text, re.MULTILINE) == ["options", *titles]


def test_every_option_is_documented_and_belongs_to_one_section():
    names = [option.name for section in SECTIONS.values() for option in options_of(section)]
    assert sorted(names) == sorted(set(names)) == sorted(OPTION_TYPES)
    for section in SECTIONS.values():
        documented = re.findall(r"^ {8}(\w+): \S", section.__doc__, re.MULTILINE)
        assert documented == [field.name for field in dataclasses.fields(section)]


def test_config_and_sections_are_frozen():
    config = load_config([])
    for part in (config, *(getattr(config, name) for name in SECTIONS)):
        name = dataclasses.fields(part)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, name, getattr(part, name))


@pytest.mark.parametrize("section", [ScheduleConfig, OptimizerConfig, CheckpointConfig])
def test_sections_take_keywords_only(section):
    with pytest.raises(TypeError):
        section(1)
