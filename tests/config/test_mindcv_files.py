"""MindCV's YAML files load, mean here what they mean there, and say in one line where they do not."""

import re

import pytest
import yaml

from mindcv.config import OPTIONS, ConfigError, load_config
from mindcv.config.mindcv_files import MINDCV_KEYS, MINDCV_OFF, translate_mindcv

# Values of MindCV's files that are spelled or typed otherwise than this project's own.
SPELLINGS = [
    ("loss: ce", "loss", "CE"),
    ("loss: Bce", "loss", "BCE"),
    ("opt: AdamW", "opt", "adamw"),
    ("opt: SGD", "opt", "sgd"),
    ("amp_level: o2", "amp_level", "O2"),
    ("device_target: ascend", "device_target", "Ascend"),
    ("dataset: ImageNet", "dataset", "imagenet"),
    ("crop_pct: 1.15", "crop_pct", 1.15),
    ("re_value: 0.0", "re_value", 0.0),
    ("re_value: random", "re_value", "random"),
    ("ckpt_save_policy: null", "ckpt_save_policy", None),
    ("interpolation: linear", "interpolation", "linear"),
    ("warmup_epochs: 5.0", "warmup_epochs", 5),
    ("multi_step_decay_milestones: [30.0, 60]", "multi_step_decay_milestones", [30, 60]),
    ("auto_augment: autoaug", "auto_augment", "autoaug"),
    ("color_jitter: [0.4, 0.4, 0.4]", "color_jitter", [0.4, 0.4, 0.4]),
    ("color_jitter: null", "color_jitter", None),
    ("vflip: 0.", "vflip", 0.0),
    ("cutmix: 1", "cutmix", 1.0),
    ("loss_scale: 16777216.0", "loss_scale", 2.0**24),
    ("data_dir: ''", "data_dir", ""),
]


@pytest.mark.parametrize(("line", "key", "value"), SPELLINGS)
def test_a_value_is_read_whatever_its_case_and_type(recipe, line, key, value):
    read = load_config(["-c", recipe(line)]).options()[key]
    assert (read, type(read)) == (value, type(value))


def test_the_command_line_is_read_so_too():
    read = load_config(
        ["--opt", "AdamW", "--loss=ce", "--warmup_epochs", "5.0", "--amp_level", "o1"]
    ).options()
    assert [read[key] for key in ("opt", "loss", "warmup_epochs", "amp_level")] == ["adamw", "CE", 5, "O1"]


@pytest.mark.parametrize("argument", ["5.5", "nan", "inf"])
def test_half_an_epoch_is_refused(message, argument):
    assert "epoch_size=" in message("--epoch_size", argument)


@pytest.mark.parametrize(
    ("level", "kind", "scale", "expected"),
    [
        ("O2", "auto", 1.0, (True, 2.0**24)),
        ("O2", "auto", 1024.0, (True, 2.0**24)),
        ("O0", "auto", 1024.0, (False, 1.0)),
        ("O2", "dynamic", 1024.0, (True, 1024.0)),
        ("O2", "fixed", 1024.0, (False, 1024.0)),
    ],
)
def test_the_loss_scale_starts_as_in_mindcv(level, kind, scale, expected):
    argv = ["--amp_level", level, "--loss_scale_type", kind, "--loss_scale", str(scale)]
    precision = load_config(argv).precision
    assert (precision.dynamic, precision.initial_loss_scale) == expected


DIFFERENCES = [
    ("scheduler: multi_step_decay", "scheduler=multi_step_decay counts epochs from the start of training"),
    (
        "scheduler: polynomial_decay\nmin_lr: 1e-5",
        "scheduler=polynomial_decay ends at min_lr=1e-05, not at 0",
    ),
    ("scheduler: cosine_decay", "decay_epochs=87 by default, not 100"),
    ("warmup_epochs: 5\nnum_cycles: 2", "decay_epochs=42.5 by default, not 100"),
    ("lr_epoch_stair: true", "lr_epoch_stair=True leaves out the epoch at lr 0"),
    ("ema: true", "ema=True averages over fewer updates at first"),
    ("clip_grad: true\ndistribute: true", "clip_grad=True clips the mean of all devices' gradients"),
    ("layer_decay: 0.75", "layer_decay excludes nothing from weight decay"),
    ("num_samples: 100\ndistribute: true", "num_samples=100 counts the images of all devices"),
    ("amp_cast_list: \"['Conv2d']\"", "amp_cast_list=['Conv2d'] is ignored, amp_level decides alone"),
]


@pytest.mark.parametrize(("text", "difference"), DIFFERENCES)
def test_another_meaning_is_reported_once_in_one_line(recipe, capsys, text, difference):
    path = recipe(text)
    load_config(["-c", path])
    assert capsys.readouterr().err == f"{path}: unlike in MindCV, {difference} (see docs/migration.md)\n"


@pytest.mark.parametrize(
    "text",
    [
        "ema: true\nlr_scale: none",
        "layer_decay: 0.75\nfilter_bias_and_bn: true",
        "clip_grad: true",
        "amp_cast_list: null",
        "scheduler: multi_step_decay\nwarmup_epochs: 0",
        "scheduler: cosine_decay\nepoch_size: 103\nmodel: mnasnet_075",
        "auto_augment: 3a-mstd0.5",
        "loss_scale_type: auto\namp_level: O2",
        "opt: adamw\neps: 1e-8",
        "opt: rmsprop\neps: 1e-3",
    ],
)
def test_a_file_that_is_not_affected_or_not_mindcvs_says_nothing(recipe, capsys, text):
    load_config(["-c", recipe(text)])
    assert capsys.readouterr().err == ""


def test_mindcvs_keys_are_options():
    assert set(OPTIONS) >= MINDCV_KEYS


@pytest.mark.parametrize("key", sorted(MINDCV_OFF))
def test_mindcv_switches_are_dropped_when_off_and_refused_when_on(key):
    for off in MINDCV_OFF[key]:
        assert translate_mindcv({key: off, "lr": 0.5}) == {"lr": 0.5}
    off = MINDCV_OFF[key][0]
    remedy = f"leave it out, or set it to {'null' if off is None else off}"
    for on in ("something", 0.25, True, [1]):
        with pytest.raises(ConfigError) as caught:
            translate_mindcv({key: on})
        assert str(caught.value) == f"{key}={on} is not available: {remedy}"


def test_a_file_with_mindcv_switches_loads_when_they_are_off(recipe, message):
    path = recipe(yaml.safe_dump({key: off[-1] for key, off in MINDCV_OFF.items()} | {"lr": 0.5}))
    assert load_config(["-c", path]) == load_config(["--lr", "0.5"])
    path = recipe('aug_splits: "three\ntimes"')
    assert message("-c", path) == (
        f"{path}: aug_splits=three times is not available: leave it out, or set it to 0"
    )
    said = message("--resume_opt", "true")
    assert said == "command line: resume_opt=True is not available: leave it out, or set it to False"


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


def test_the_command_line_takes_mindcvs_names_as_a_file_does():
    switched_off = [
        "--dataset_download=False",
        "--aug_splits",
        "0",
        "--reduction",
        "mean",
        "--amp_cast_list",
        "",
    ]
    config = load_config([*switched_off, "--filter_bias_and_bn", "--lr", "0.5"])
    assert (config.optimizer.weight_decay_filter, config.schedule.lr) == ("norm_and_bias", 0.5)
    for arguments, message in (
        (
            ["--dataset_download", "True"],
            "dataset_download=True is not available: leave it out, or set it to F",
        ),
        (["--amp_cast_list=[nn.Dense]"], "amp_cast_list=['nn.Dense']: leave it out, amp_level decides alone"),
    ):
        with pytest.raises(ConfigError, match=re.escape(f"command line: {message}")):
            load_config(arguments)


@pytest.mark.parametrize(("epochs", "expected"), [("1", 0), ("2", 1), ("3", 3), ("90", 3)])
def test_a_warm_up_that_nobody_has_asked_for_fits_into_a_short_run(epochs, expected):
    assert load_config(["--epoch_size", epochs]).schedule.warmup_epochs == expected
