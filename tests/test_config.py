"""Options from a YAML file and the command line: what wins, what is refused, and in which words."""

import dataclasses
import inspect
import math
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mindspore import nn

from config import OPTION_TYPES, SECTIONS, SYNONYMS, Config, ConfigError, load_config, parse_args
from mindcv import scheduler
from mindcv.data import catalogue, create_dataset, create_loader, create_transforms, transforms
from mindcv.engine import CheckpointManager, Normalized
from mindcv.loss import create_loss
from mindcv.models import MnasNet, create_model, layers
from mindcv.optim import create_optimizer, groups
from mindcv.optim import factory as optim_factory
from mindcv.scheduler import create_scheduler
from options import (
    AugmentConfig,
    CheckpointConfig,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    ScheduleConfig,
)
from yaml_file import MINDCV_OFF, MINDCV_TUNES_OFF, dump_mapping, load_mapping, translate_mindcv

ROOT = Path(__file__).parents[1]
POSITIVE = "give a positive number"
LIST = "give a list of numbers, such as [0.5, 1.0]"
CHANNELS = "give a list of numbers, such as [1, 2, 3] or null"


@pytest.fixture
def recipe(tmp_path):
    """Writes a YAML file and returns its path."""

    def write(content: str | bytes) -> str:
        path = tmp_path / "recipe.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def message(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(argv)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


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
    ("line", "expected"),
    [
        ("lerning_rate: 1", "'lerning_rate' is no option; did you mean 'lr'?"),
        ("epoch_sise: 1", "'epoch_sise' is no option; did you mean 'epoch_size'?"),
        ("zzzzz: 1", "'zzzzz' is no option; --help lists all options"),
        ('"a\\nb": 1', "'a b' is no option; --help lists all options"),
        ("config: x", "'config' is no option; --help lists all options"),
        ("lr: abc", "lr=abc does not fit: give a number"),
        ("lr: true", "lr=True does not fit: give a number"),
        ("lr: null", "lr=null does not fit: give a number"),
        ("lr: [1]", "lr=[1] does not fit: give a number"),
        ("lr: {a: 1}", "lr={'a': 1} does not fit: give a number"),
        ("lr: 2020-01-01", "lr=2020-01-01 does not fit: give a number"),
        ("epoch_size: 3.5", "epoch_size=3.5 does not fit: give a whole number"),
        ("epoch_size: true", "epoch_size=True does not fit: give a whole number"),
        ("shuffle: 1", "shuffle=1 does not fit: give true or false"),
        ("shuffle: null", "shuffle=null does not fit: give true or false"),
        ("hflip: much", "hflip=much does not fit: give a number or null"),
        ("data_dir: 5", "data_dir=5 does not fit: give a text or null"),
        ("model: 5", "model=5 does not fit: give a text"),
        ("mode: true", "mode=True does not fit: give one of 0, 1"),
        ("mode: 1.0", "mode=1.0 does not fit: give one of 0, 1"),
        ("mode: 2", "mode=2 does not fit: give one of 0, 1"),
        ("loss: null", "loss=null does not fit: give one of CE, BCE"),
        (
            "device_target: gpu",
            "device_target=gpu does not fit: give one of auto, CPU, GPU, Ascend",
        ),
        (
            "ckpt_save_policy: top-k",
            "ckpt_save_policy=top-k does not fit: give one of latest_k, top_k; did you mean 'top_k'?",
        ),
        (
            "padding: sam",
            "padding=sam does not fit: give one of symmetric, same or null; did you mean 'same'?",
        ),
        ("scale: 0.5", f"scale=0.5 does not fit: {LIST}"),
        ("scale: [0.5]", f"scale=[0.5] does not fit: {LIST}"),
        ("mean: 3", f"mean=3 does not fit: {CHANNELS}"),
        (
            "multi_step_decay_milestones: null",
            "multi_step_decay_milestones=null does not fit: give a list of whole numbers, such as [1, 2, 3]",
        ),
    ],
)
def test_unknown_keys_and_wrong_types_are_named_with_a_remedy(recipe, line, expected):
    path = recipe(line)
    assert message("-c", path) == f"{path}: {expected}"


@pytest.mark.parametrize(("name", "meant"), SYNONYMS.items())
def test_words_of_other_toolkits_lead_to_our_option(recipe, name, meant):
    assert meant in OPTION_TYPES
    assert name not in OPTION_TYPES
    path = recipe(f"{name}: 1")
    assert message("-c", path) == f"{path}: '{name}' is no option; did you mean '{meant}'?"
    assert message(f"--{name}", "1") == f"command line: '{name}' is no option; did you mean '{meant}'?"


@pytest.mark.parametrize(
    ("key", "value", "shown", "remedy"),
    [
        ("lr", ".nan", "nan", POSITIVE),
        ("lr", ".inf", "inf", POSITIVE),
        ("lr", "0", "0.0", POSITIVE),
        ("lr", "-1e-3", "-0.001", POSITIVE),
        ("min_lr", "-.inf", "-inf", "give 0 or more"),
        ("decay_rate", "0", "0.0", POSITIVE),
        ("warmup_factor", "1.5", "1.5", "give a part of lr from 0 to 1"),
        ("epoch_size", "0", "0", "give 1 or more"),
        ("batch_size", "1" + "0" * 17, "1" + "0" * 17, "give 1 or more"),
        ("num_samples", "0", "0", "give 1 or more"),
        ("num_parallel_workers", "0", "0", "give 1 or more"),
        ("val_interval", "0", "0", "give 1 or more"),
        ("keep_checkpoint_max", "-1", "-1", "give 0 or more"),
        ("seed", "-1", "-1", "give a whole number from 0 to 2**32 - 1"),
        ("seed", "4294967296", "4294967296", "give a whole number from 0 to 2**32 - 1"),
        ("log_interval", "0", "0", "give the number of steps, 1 or more"),
        ("image_resize", "7", "7", "give 8 pixels or more"),
        ("hflip", ".nan", "nan", "give a probability from 0 to 1"),
        ("vflip", "1.1", "1.1", "give a probability from 0 to 1"),
        ("crop_pct", "0", "0.0", "give a part of the image, above 0 and up to 1"),
        ("crop_padding", "-1", "-1", "give pixels, 0 or more"),
        ("scale", "[0.5, 0.4]", "(0.5, 0.4)", "give two parts of the area, 0 < smallest <= largest <= 1"),
        ("scale", "[0.1, .nan]", "(0.1, nan)", "give two parts of the area, 0 < smallest <= largest <= 1"),
        ("ratio", "[1, .inf]", "(1.0, inf)", "give two aspect ratios, 0 < smallest <= largest"),
        ("mean", "[.nan, 1, 1]", "(nan, 1.0, 1.0)", "its scale is 0 to 255"),
        ("std", "[0, 1, 1]", "(0.0, 1.0, 1.0)", "its scale is 0 to 255, and 0 is no scale"),
        ("in_channels", "2", "2", "images have 3 channels, or 1 for grey"),
        ("drop_rate", "1", "1.0", "give a rate from 0 to below 1"),
        ("bn_eps", "0", "0.0", "give a small positive number"),
        ("bn_momentum", "-0.1", "-0.1", "give a weight from 0 to 1"),
        ("label_smoothing", "1", "1.0", "give a part from 0 to below 1"),
        ("aux_factor", "-1", "-1.0", "give 0 or more"),
        ("momentum", "1", "1.0", "give a weight from 0 to below 1"),
        ("weight_decay", ".inf", "inf", "give 0 or more"),
        ("loss_scale", "0", "0.0", "give a positive factor"),
        ("multi_step_decay_milestones", "[3, 2]", "(3, 2)", "give rising epochs above 0"),
        ("multi_step_decay_milestones", "[0, 2]", "(0, 2)", "give rising epochs above 0"),
    ],
)
def test_numbers_out_of_range_are_refused(recipe, key, value, shown, remedy):
    path = recipe(f"{key}: {value}")
    assert message("-c", path) == f"{path}: {key}={shown} is out of range: {remedy}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_option_takes_what_is_no_finite_number(value):
    several = {"scale": 2, "ratio": 2, "mean": 3, "std": 3}
    for section in SECTIONS.values():
        for key, kind in get_type_hints(section).items():
            if "float" in str(kind):
                with pytest.raises(ConfigError, match=f"^{key}=.*{value}.* is out of range: "):
                    section(**{key: (value,) * several[key] if key in several else value})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "warmup_epochs: 5\nepoch_size: 3",
            "warmup_epochs=5 leaves nothing of epoch_size=3: lower the warm-up or train longer",
        ),
        ("min_lr: 0.5\nlr: 0.1", "min_lr=0.5 is above lr=0.1: lower min_lr or raise lr"),
        ("mean: [1, 2]", "mean=(1.0, 2.0) does not fit in_channels=3: give a number a channel"),
        ("std: [9]\nin_channels: 3", "std=(9.0,) does not fit in_channels=3: give a number a channel"),
        (
            "opt: sgd\nuse_nesterov: true\nmomentum: 0",
            "Nesterov's momentum needs one, but momentum=0.0: set it above 0",
        ),
        (
            "opt: rmsprop\nuse_nesterov: true",
            "use_nesterov=True does not fit opt=rmsprop: "
            "it is for sgd, momentum, nesterov, adam, nadam; set it to False",
        ),
        ("scheduler: step_decay", "scheduler=step_decay decays every decay_epochs: set it"),
        (
            "scheduler: multi_step_decay\nmulti_step_decay_milestones: []",
            "scheduler=multi_step_decay needs multi_step_decay_milestones: give some epochs",
        ),
        (
            "ckpt_save_policy: top_k",
            "ckpt_save_policy=top_k ranks by validation: set val_while_train to True",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(recipe, text, expected):
    path = recipe(text)
    assert message("-c", path) == f"{path}: {expected}"


def test_blame_falls_on_what_makes_the_options_wrong(recipe):
    path = recipe("warmup_epochs: 5\nlr: 0.1")
    assert message("-c", path, "--epoch_size", "3").startswith("command line: warmup_epochs=5 leaves nothing")
    assert message("-c", path, "--min_lr", "1").startswith("command line: min_lr=1.0 is above lr=0.1")
    assert message("--lr", "abc") == "command line: lr=abc does not fit: give a number"
    path = recipe("epoch_size: 2")  # wrong only because of a default, and without the command line too
    assert message("-c", path, "--lr", "1").startswith(f"{path}: warmup_epochs=3 leaves nothing")
    path = recipe("lr: -1")
    assert load_config(["-c", path, "--lr", "1"]).schedule.lr == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "holds no option: write at least one 'key: value' line"),
        ("# nothing\n", "holds no option: write at least one 'key: value' line"),
        ("- lr\n- 1", "is no mapping: write 'key: value' lines"),
        ("lr", "is no mapping: write 'key: value' lines"),
        (b"lr: \xff", "is no UTF-8 text: give a YAML file after -c"),
        ("lr: 1\nopt: sgd\nlr: 1\n", "line 1: 'lr' is given twice: keep one"),
        ('"a\\nb": 1\n"a\\nb": 2', "line 1: 'a b' is given twice: keep one"),
        ("lr: 1\n2: 3", "line 2: 2 is no key: keys are names"),
        ("? [1]\n: 2", "line 1: [1] is no key: keys are names"),
        ("lr: [1", "line 1: no valid YAML (expected ',' or ']', but got '<stream end>'): mend it"),
        ("lr: 1\n---\nlr: 2", "line 2: no valid YAML (but found another document): mend it"),
        (
            "lr: \x07",
            "no valid YAML (unacceptable character #x0007: special characters are not allowed): mend it",
        ),
        ("lr: 2020-99-99", "no valid YAML (month must be in 1..12): mend it"),
        ("lr: !!timestamp x", "no valid YAML (a !!tag does not fit its value): mend it"),
        ("shuffle: !!bool maybe", "no valid YAML (a !!tag does not fit its value): mend it"),
        ('seed: !!int ""', "no valid YAML (a !!tag does not fit its value): mend it"),
        ("seed: 1\nlr: 1" + "0" * 400, "line 2: the number is too large: lower it"),
        ("seed: 0x" + "f" * 5000, "line 1: the number is too large: lower it"),
        (
            "lr: !!python/object:os.system 1",
            "line 1: no valid YAML (could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object:os.system'): mend it",
        ),
    ],
)
def test_a_file_that_holds_no_options_is_explained(recipe, content, expected):
    path = recipe(content)
    assert message("-c", path) == f"{path}: {expected}"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    missing = tmp_path / "missing.yaml"
    assert message("-c", str(missing)) == f"{missing}: no such file: check the path after -c"
    assert message("-c", str(tmp_path)) == (
        f"{tmp_path}: cannot be read (Is a directory): give a readable YAML file after -c"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_named(recipe):
    path = recipe("lr: 1")
    Path(path).chmod(0)
    assert message("-c", path) == (
        f"{path}: cannot be read (Permission denied): give a readable YAML file after -c"
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-c", "a.yaml", "-c", "b.yaml"], "-c is given 2 times: keep one"),
        (["-c", "a.yaml", "--config=b.yaml", "-cc"], "-c is given 3 times: keep one"),
        (["-c"], "-c names no file: give a YAML file after it"),
        (["-c", ""], "-c names no file: give a YAML file after it"),
        (["--lerning_rate=2"], "'lerning_rate' is no option; did you mean 'lr'?"),
        (["--system.mode", "1"], "'system.mode' is no option; --help lists all options"),
        (["--epoch_siz", "1"], "'epoch_siz' is no option; did you mean 'epoch_size'?"),
        (["--mode", "true"], "mode=True does not fit: give one of 0, 1"),
        (["--mode", "1.0"], "mode=1.0 does not fit: give one of 0, 1"),
        (["--distribute", "maybe"], "distribute=maybe does not fit: give true or false"),
        (["--scale", "0.1", "0.5"], f"scale=0.1 does not fit: {LIST}"),
        (["--opt", "admw"], "opt=admw does not fit: "),
        (["--lr", "a\nb"], "lr=a b does not fit: give a number"),
        (["--lr", "-0.1"], f"lr=-0.1 is out of range: {POSITIVE}"),
        (["--lr", "1" + "0" * 400], "a value is no valid YAML or too large a number: mend it"),
        (["--lr", "!!timestamp x"], "a value is no valid YAML or too large a number: mend it"),
        (["--lr"], "argument --lr: expected one argument"),
        (["sgd"], "unrecognized arguments: sgd"),
        (["-x"], "unrecognized arguments: -x"),
        (["--print_config", "--lr", "x"], "lr=x does not fit: give a number"),
    ],
)
def test_a_wrong_command_line_is_explained(argv, expected):
    text = message(*argv)
    assert text.lower().startswith(f"command line: {expected.lower()}")  # versions differ in capitals
    assert text.lower().endswith((expected.lower(), "; did you mean 'adamw'?"))


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


def test_a_file_with_mindcv_switches_loads_when_they_are_off(recipe):
    path = recipe(yaml.safe_dump({key: off[-1] for key, off in MINDCV_OFF.items()} | {"lr": 0.5}))
    assert load_config(["-c", path]) == load_config(["--lr", "0.5"])
    path = recipe('auto_augment: "rand\naugment"')
    assert message("-c", path) == (
        f"{path}: auto_augment=rand augment is not available: remove the line, or set it to null"
    )
    assert message("--amp_level", "O2") == "command line: 'amp_level' is no option; --help lists all options"


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
def test_filter_bias_and_bn_that_says_nothing_clear_is_refused(recipe, text, expected):
    path = recipe(text)
    assert message("-c", path) == f"{path}: {expected}"


def run_program(*argv: str) -> subprocess.CompletedProcess[str]:
    program = "from config import parse_args; print(parse_args().schedule.lr)"
    return subprocess.run(
        [sys.executable, "-c", program, *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_program_says_what_is_wrong_in_one_line_and_exits_with_2(recipe):
    path = recipe("lerning_rate: 1")
    wrong_file = run_program("-c", path)
    assert (wrong_file.returncode, wrong_file.stdout) == (2, "")
    assert wrong_file.stderr == f"error: {path}: 'lerning_rate' is no option; did you mean 'lr'?\n"
    wrong_value = run_program("--lr", "abc")
    assert (wrong_value.returncode, wrong_value.stdout) == (2, "")
    assert wrong_value.stderr == "error: command line: lr=abc does not fit: give a number\n"
    assert run_program("--lr", "0.5").stdout == "0.5\n"


def test_parse_args_exits_with_2(capsys):
    with pytest.raises(SystemExit) as caught:
        parse_args(["--lr", "-1"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"error: command line: lr=-1.0 is out of range: {POSITIVE}\n"


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
    names = [field.name for section in SECTIONS.values() for field in dataclasses.fields(section)]
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
    st.sampled_from(sorted(OPTION_TYPES) + sorted(MINDCV_OFF) + sorted(SYNONYMS) + ["filter_bias_and_bn"])
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
def test_deep_nesting_gives_an_error_of_one_line(recipe, depth):
    path = recipe("mean: " + "[" * depth + "]" * depth)
    assert message("-c", path).startswith(f"{path}: ")


def test_load_mapping_keeps_the_order_of_the_file(recipe):
    assert list(load_mapping(recipe("opt: sgd\nlr: 1\nmode: 0")).items()) == [
        ("opt", "sgd"),
        ("lr", 1),
        ("mode", 0),
    ]


# Options whose keyword in the factories has another name.
RENAMED = {
    "dataset": "name",
    "data_dir": "root",
    "train_split": "split",
    "val_split": "split",
    "model": "model_name",
    "ckpt_path": "checkpoint_path",
    "loss": "name",
    "use_nesterov": "nesterov",
    "epoch_size": "num_epochs",
    "multi_step_decay_milestones": "milestones",
    "ckpt_save_dir": "folder",
    "ckpt_save_interval": "interval",
    "ckpt_save_policy": "policy",
    "keep_checkpoint_max": "keep",
}

# Sections, and what takes their options as keywords; with it, what the program itself gives as keywords.
FACTORIES = {
    DataConfig: {
        create_dataset: {"num_shards", "shard_id"},
        create_loader: {"dataset", "is_training", "transform", "target_transform", "python_multiprocessing"},
    },
    AugmentConfig: {
        create_transforms: {"dataset_name", "is_training", "in_channels"},
        Normalized: {"network"},
    },
    ModelConfig: {
        create_model: {"kwargs"},
        MnasNet: {"stages", "width", "stem_channels", "sync_bn"},
    },
    LossConfig: {create_loss: {"weight", "reduction"}},
    OptimizerConfig: {create_optimizer: {"model_or_params", "lr", "kwargs"}},
    ScheduleConfig: {create_scheduler: {"steps_per_epoch"}},
    CheckpointConfig: {CheckpointManager: {"name", "tensors", "metadata"}},
}


def names(section: type) -> set[str]:
    return {field.name for field in dataclasses.fields(section)}


@pytest.mark.parametrize("section", FACTORIES, ids=lambda section: section.__name__)
def test_options_are_the_keywords_of_the_factories(section):
    keywords = set()
    for factory, ours in FACTORIES[section].items():
        parameters = set(inspect.signature(factory).parameters)
        assert ours <= parameters
        keywords |= parameters - ours
    assert {RENAMED.get(name, name) for name in names(section)} == keywords


def test_every_renamed_option_exists():
    assert set(RENAMED) <= {name for section in FACTORIES for name in names(section)}


@pytest.mark.parametrize(
    ("option", "accepted"),
    [
        ("dataset", catalogue.DATASETS),
        ("interpolation", transforms.INTERPOLATIONS),
        ("opt", optim_factory.OPTIMIZERS),
        ("weight_decay_filter", groups.WEIGHT_DECAY_FILTERS),
        ("scheduler", scheduler.SCHEDULERS),
    ],
)
def test_choices_are_those_of_the_factories(option, accepted):
    assert sorted(get_args(OPTION_TYPES[option])) == sorted(accepted)


def test_every_choice_is_accepted_by_its_factory():
    for loss in get_args(OPTION_TYPES["loss"]):
        assert create_loss(loss)
    for interpolation in get_args(OPTION_TYPES["interpolation"]):
        assert create_transforms("cifar10", 32, interpolation=interpolation)
    for kind in get_args(OPTION_TYPES["scheduler"]):
        assert len(create_scheduler(2, kind, decay_epochs=1, milestones=[1], num_epochs=5)) == 10
    network = nn.Dense(1, 1)
    for opt in get_args(OPTION_TYPES["opt"]):
        for spared in get_args(OPTION_TYPES["weight_decay_filter"]):
            assert create_optimizer(network, opt, weight_decay_filter=spared)


def test_padding_choices_are_those_of_the_layers():
    assert OPTION_TYPES["padding"] == layers.Padding | None


def test_defaults_of_the_options_are_accepted_by_the_scheduler():
    options = {RENAMED.get(name, name): value for name, value in vars(ScheduleConfig()).items()}
    assert len(create_scheduler(3, **options)) == 3 * 90
