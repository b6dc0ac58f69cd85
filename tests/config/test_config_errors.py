"""Options that are rejected, and the words of the messages."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from mindcv.config import OPTION_TYPES, SECTIONS, ConfigError, parse_args
from mindcv.config.loading import ALIASES
from mindcv.config.option import options_of
from mindcv.config.values import described
from mindcv.config.yaml_file import load_value

ROOT = Path(__file__).parents[2]
POSITIVE = "give a positive number"
LIST = "give a list of numbers, such as [0.5, 1.0]"
CHANNELS = "give a list of numbers, such as [1, 2, 3] or null"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lerning_rate: 1", "unknown option 'lerning_rate'; did you mean 'lr'?"),
        ("epoch_sise: 1", "unknown option 'epoch_sise'; did you mean 'epoch_size'?"),
        ("zzzzz: 1", "unknown option 'zzzzz'; --help lists all options"),
        ('"a\\nb": 1', "unknown option 'a b'; --help lists all options"),
        ("config: x", "unknown option 'config'; --help lists all options"),
        ("lr: abc", "lr=abc does not fit: give a number"),
        ("lr: true", "lr=True does not fit: give a number"),
        ("lr: null", "lr=null does not fit: give a number"),
        ("lr: [1]", "lr=[1] does not fit: give a number"),
        ("lr: {a: 1}", "lr={'a': 1} does not fit: give a number"),
        ("lr: 2020-01-01", "lr=2020-01-01 does not fit: give a number"),
        ("epoch_size: 3.5", "epoch_size=3.5 does not fit: give an integer"),
        ("epoch_size: true", "epoch_size=True does not fit: give an integer"),
        ("shuffle: 1", "shuffle=1 does not fit: give true or false"),
        ("shuffle: null", "shuffle=null does not fit: give true or false"),
        ("hflip: much", "hflip=much does not fit: give a number or null"),
        ("data_dir: 5", "data_dir=5 does not fit: give a string or null"),
        ("model: 5", "model=5 does not fit: give a string"),
        ("mode: true", "mode=True does not fit: give one of 0, 1"),
        ("mode: 1.0", "mode=1.0 does not fit: give one of 0, 1"),
        ("mode: 2", "mode=2 does not fit: give one of 0, 1"),
        ("loss: null", "loss=null does not fit: give one of CE, BCE, asl_single_label, asl_multi_label"),
        (
            "device_target: tpu",
            "device_target=tpu does not fit: give one of auto, CPU, GPU, Ascend",
        ),
        (
            "ckpt_save_policy: top-k",
            "ckpt_save_policy=top-k does not fit: give one of latest_k, top_k or null; did you mean 'top_k'?",
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
            "multi_step_decay_milestones=null does not fit: give a list of integers, such as [1, 2, 3]",
        ),
    ],
)
def test_unknown_keys_and_wrong_types_are_named_with_a_remedy(recipe, line, expected, message):
    path = recipe(line)
    assert message("-c", path) == f"{path}: {expected}"


@pytest.mark.parametrize(("name", "meant"), ALIASES.items())
def test_words_of_other_toolkits_lead_to_our_option(recipe, name, meant, message):
    assert meant in OPTION_TYPES
    assert name not in OPTION_TYPES
    path = recipe(f"{name}: 1")
    assert message("-c", path) == f"{path}: unknown option '{name}'; did you mean '{meant}'?"
    assert message(f"--{name}", "1") == f"command line: unknown option '{name}'; did you mean '{meant}'?"


@pytest.mark.parametrize(
    ("key", "value", "shown", "remedy"),
    [
        ("lr", "0", "0.0", POSITIVE),
        ("lr", "-1e-3", "-0.001", POSITIVE),
        ("decay_rate", "0", "0.0", POSITIVE),
        ("warmup_factor", "1.5", "1.5", "give a fraction of lr from 0 to 1"),
        ("epoch_size", "0", "0", "give 1 to 100000"),
        ("epoch_size", "2147483647", "2147483647", "give 1 to 100000"),
        ("batch_size", "1" + "0" * 17, "1" + "0" * 17, "give 1 to 65536 images"),
        ("log_interval", "1" + "0" * 17, "1" + "0" * 17, "give at most 2147483647"),
        ("num_classes", "2147483647", "2147483647", "give 1 to 100000"),
        ("image_resize", "100000", "100000", "give 8 to 2048 pixels"),
        ("val_image_resize", "2049", "2049", "give 8 to 2048 pixels"),
        ("crop_pct", "0.001", "0.001", "give a fraction from 0.25 to 8; 1 keeps the whole image"),
        ("re_max_attempts", "2147483647", "2147483647", "give 1 to 1000"),
        ("aug_repeats", "101", "101", "give 0 to 100 copies"),
        ("gradient_accumulation_steps", "65537", "65537", "give 1 to 65536 batches"),
        ("ratio", "[1e-30, 1]", "[1e-30, 1.0]", "give two aspect ratios, 0.01 <= smallest <= largest <= 100"),
        ("num_samples", "0", "0", "give 1 or more"),
        ("num_parallel_workers", "0", "0", "give 1 or more"),
        ("val_interval", "0", "0", "give 1 or more"),
        ("keep_checkpoint_max", "-1", "-1", "give 0 or more"),
        ("seed", "-1", "-1", "give an integer from 0 to 2**32 - 1"),
        ("seed", "4294967296", "4294967296", "give an integer from 0 to 2**32 - 1"),
        ("log_interval", "0", "0", "give the number of steps, 1 or more"),
        ("image_resize", "7", "7", "give 8 to 2048 pixels"),
        ("vflip", "1.1", "1.1", "give a probability from 0 to 1"),
        ("crop_pct", "0", "0.0", "give a fraction from 0.25 to 8; 1 keeps the whole image"),
        ("crop_padding", "-1", "-1", "give 0 to 2048 pixels"),
        (
            "scale",
            "[0.5, 0.4]",
            "[0.5, 0.4]",
            "give two fractions of the area, 1e-6 <= smallest <= largest <= 1",
        ),
        ("std", "[0, 1, 1]", "[0.0, 1.0, 1.0]", "give 0.001 to 255: its scale is 0 to 255"),
        ("color_jitter", "[0.4]", "[0.4]", "give one fraction, or a list of three or four"),
        ("in_channels", "2", "2", "images have 3 channels, or 1 for grey"),
        ("drop_rate", "1", "1.0", "give a rate from 0 to below 1"),
        ("bn_eps", "0", "0.0", "give a small positive number"),
        ("bn_momentum", "-0.1", "-0.1", "give a weight from 0 to 1"),
        ("label_smoothing", "1", "1.0", "give a fraction from 0 to below 1"),
        ("aux_factor", "-1", "-1.0", "give 0 or more"),
        ("momentum", "1", "1.0", "give a weight from 0 to below 1"),
        ("loss_scale", "0", "0.0", "give a positive factor up to 2**24"),
        ("loss_scale", "1e9", "1000000000.0", "give a positive factor up to 2**24"),
        ("multi_step_decay_milestones", "[3, 2]", "[3, 2]", "give rising epochs above 0"),
        ("multi_step_decay_milestones", "[0, 2]", "[0, 2]", "give rising epochs above 0"),
    ],
)
def test_numbers_out_of_range_are_refused(recipe, key, value, shown, remedy, message):
    path = recipe(f"{key}: {value}")
    assert message("-c", path) == f"{path}: {key}={shown} is out of range: {remedy}"


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e999", "[1, .nan]", "[.inf, 1, 1]"])
def test_nan_and_infinity_are_refused_by_each_numeric_option_in_the_same_words(recipe, value, message):
    for key, kind in OPTION_TYPES.items():
        if "float" in str(kind) or "int" in str(kind):
            path = recipe(f"{key}: {value}")
            shown = str(load_value(value))
            words = f"is not finite: give {described(kind)}"
            assert message("-c", path) == f"{path}: {key}={shown} {words}"
            assert message(f"--{key}", value) == f"command line: {key}={value} {words}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_section_accepts_nan_or_infinity(value):
    several = {"scale": 2, "ratio": 2, "re_scale": 2, "re_ratio": 2, "mean": 3, "std": 3}
    for section in SECTIONS.values():
        for option in options_of(section):
            if "float" in str(option.kind):
                with pytest.raises(ConfigError, match=f"^{option.name}=.*{value}.* is out of range: "):
                    section(**{option.field: (value,) * several.get(option.name, 0) or value})


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-c", "a.yaml", "-c", "b.yaml"], "-c is given 2 times: keep one"),
        (["-c", "a.yaml", "--config=b.yaml", "-cc"], "-c is given 3 times: keep one"),
        (["-c"], "-c names no file: give a YAML file after it"),
        (["-c", ""], "-c names no file: give a YAML file after it"),
        (["--lerning_rate=2"], "unknown option 'lerning_rate'; did you mean 'lr'?"),
        (["--system.mode", "1"], "unknown option 'system.mode'; --help lists all options"),
        (["--epoch_siz", "1"], "unknown option 'epoch_siz'; did you mean 'epoch_size'?"),
        (["--mode", "true"], "mode=true does not fit: give one of 0, 1"),
        (["--mode", "1.0"], "mode=1.0 does not fit: give one of 0, 1"),
        (["--distribute", "maybe"], "distribute=maybe does not fit: give true or false"),
        (["--scale", "0.1", "0.5"], f"scale=0.1 does not fit: {LIST}"),
        (["--hflip", ""], "hflip= does not fit: give a number or null"),
        (["--lr", "--opt", "sgd"], "--lr lacks a value: give a number"),
        (["--opt", "admw"], "opt=admw does not fit: "),
        (["--lr", "a\nb"], "lr=a b does not fit: give a number"),
        (["--lr", "-0.1"], f"lr=-0.1 is out of range: {POSITIVE}"),
        (["--lr", "1" + "0" * 400], f"lr=1{'0' * 400} does not fit: give a number"),
        (["--lr", "!!timestamp x"], "lr=!!timestamp x does not fit: give a number"),
        (["--lr", "&a [*a]"], "lr=&a [*a] does not fit: give a number"),
        (["--batch_size", "12:30"], "batch_size=12:30 does not fit: give an integer"),
        (
            ["--data_dir", "a\0b"],
            "data_dir=a\\x00b is not valid text: remove its NUL and surrogate characters",
        ),
        (["--lr"], "--lr lacks a value: give a number"),
        (["sgd"], "unknown argument 'sgd': give options as --name value"),
        (["gpu.yaml"], "unknown argument 'gpu.yaml': did you mean -c gpu.yaml?"),
        (
            ["--device_target", "NPU"],
            "device_target=NPU does not fit: give one of auto, CPU, GPU, Ascend",
        ),
        (["-x"], "unknown argument '-x': give options as --name value"),
        (["--print_config", "--lr", "x"], "lr=x does not fit: give a number"),
    ],
)
def test_a_wrong_command_line_is_explained(argv, expected, message):
    text = message(*argv)
    assert text.startswith(f"command line: {expected}")
    assert text.endswith((expected, "; did you mean 'adamw'?"))


def run_program(*argv: str) -> subprocess.CompletedProcess[str]:
    program = "from config import parse_args; print(parse_args().lr)"
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
    assert wrong_file.stderr == f"error: {path}: unknown option 'lerning_rate'; did you mean 'lr'?\n"
    wrong_value = run_program("--lr", "abc")
    assert (wrong_value.returncode, wrong_value.stdout) == (2, "")
    assert wrong_value.stderr == "error: command line: lr=abc does not fit: give a number\n"
    assert run_program("--lr", "0.5").stdout == "0.5\n"


def test_parse_args_exits_with_2(capsys):
    with pytest.raises(SystemExit) as caught:
        parse_args(["--lr", "-1"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"error: command line: lr=-1.0 is out of range: {POSITIVE}\n"


def test_a_name_that_only_looks_a_little_alike_is_not_suggested(message):
    assert message("--image_path", "x") == (
        "command line: unknown option 'image_path'; --help lists all options"
    )
