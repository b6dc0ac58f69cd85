"""The recipes of `configs/mnasnet`, and a recipe as MindCV writes it."""

import re
from pathlib import Path

import pytest
import yaml

from mindcv.config import load_config
from mindcv.models import find_model

FOLDER = Path(__file__).parents[2] / "configs" / "mnasnet"
RECIPES = sorted(FOLDER.glob("*.yaml"))

# Model, epochs, learning rate, batch size per device, and accuracy as the recipe states it: as published.
PUBLISHED = {
    "mnasnet0.75_ascend": ("mnasnet_075", 350, 0.016, 256, ("71.81", "90.53")),
    "mnasnet0.75_gpu": ("mnasnet_075", 350, 0.012, 128, ("72.15", "90.53")),
    "mnasnet1.0_ascend": ("mnasnet_100", 450, 0.016, 256, ("74.28", "91.70")),
    "mnasnet1.0_gpu": ("mnasnet_100", 450, 0.012, 128, ("74.31", "91.89")),
    "mnasnet1.4_ascend": ("mnasnet_140", 400, 0.016, 256, ("76.01", "92.83")),
    "mnasnet1.4_gpu": ("mnasnet_140", 400, 0.008, 64, ("76.01", "92.83")),
}
EPOCH_TIME = {"mnasnet0.75_ascend": "96 s", "mnasnet1.0_ascend": "96 s", "mnasnet1.4_ascend": "121 s"}

# The whole effective configuration of the recipes for ImageNet, but for what `PUBLISHED` tells apart.
IMAGENET = yaml.safe_load(Path(__file__).with_name("published_recipes.yaml").read_text(encoding="utf-8"))

DIGITS = {
    "mode": 0,
    "distribute": True,
    "device_target": "CPU",
    "dataset": "digits",
    "batch_size": 32,
    "image_resize": 48,
    "interpolation": "bicubic",
    "hflip": None,
    "crop_padding": 3,
    "model": "mnasnet_075",
    "num_classes": None,
    "drop_rate": 0.0,
    "bn_momentum": 0.9,
    "epoch_size": 6,
    "loss": "CE",
    "label_smoothing": 0.1,
    "scheduler": "cosine_decay",
    "lr": 0.05,
    "lr_scale": "linear",
    "lr_scale_batch": 64,
    "min_lr": 0.0,
    "warmup_epochs": 2,
    "decay_epochs": None,
    "opt": "momentum",
    "momentum": 0.9,
    "use_nesterov": True,
    "weight_decay": 1e-4,
    "loss_scale": 1.0,
    "val_while_train": True,
}

# Recipes without published figures, each with what makes it what it is.
TENSORFLOW = {
    "model": "mnasnet_100",
    "epoch_size": 350,
    "opt": "rmsprop",
    "momentum": 0.9,
    "eps": 1e-3,
    "scheduler": "step_decay",
    "lr": 0.016,
    "lr_scale": "linear",
    "lr_scale_batch": 256,
    "decay_epochs": 2.4,
    "decay_rate": 0.97,
    "warmup_epochs": 5,
    "label_smoothing": 0.1,
    "weight_decay": 1e-5,
    "weight_decay_filter": "norm_and_bias",
    "padding": "same",
    "color_jitter": None,
    "ema": True,
    "ema_decay": 0.9999,
    "batch_size": 128,
}
MODERN = {
    "epoch_size": 600,
    "opt": "momentum",
    "lr": 0.5,
    "lr_scale": "linear",
    "lr_scale_batch": 1024,
    "weight_decay": 2e-5,
    "weight_decay_filter": "auto",
    "image_resize": 176,
    "val_image_resize": 224,
    "crop_pct": 0.9655,
    "label_smoothing": 0.1,
    "ema": True,
    "batch_size": 128,
}
LIGHT = {"model": "mnasnet_075", "auto_augment": None, "re_prob": 0.0, "mixup": 0.0, "cutmix": 0.0}
MODERATE = {"model": "mnasnet_100", "auto_augment": "rand-m6-mstd0.5-inc1", "mixup": 0.1, "cutmix": 0.0}
FULL = {
    "model": "mnasnet_140",
    "auto_augment": "trivialaugwide",
    "re_prob": 0.1,
    "mixup": 0.2,
    "cutmix": 1.0,
    "aug_repeats": 4,
}
FURTHER = {
    "mnasnet1.0_tf_ascend": TENSORFLOW,
    "mnasnet1.0_tf_gpu": TENSORFLOW,
    "mnasnet0.75_modern_ascend": MODERN | LIGHT,
    "mnasnet0.75_modern_gpu": MODERN | LIGHT,
    "mnasnet1.0_modern_ascend": MODERN | MODERATE,
    "mnasnet1.0_modern_gpu": MODERN | MODERATE,
    "mnasnet1.4_modern_ascend": MODERN | FULL,
    "mnasnet1.4_modern_gpu": MODERN | FULL,
    "mnasnet1.0_finetune": {
        "model": "mnasnet_100",
        "dataset": "image_folder",
        "num_classes": None,
        "new_classifier": True,
        "pretrained": True,
        "layer_decay": 0.8,
        "ema": True,
    },
    "mnasnet0.75_digits_cpu": DIGITS,
    "mnasnet0.75_digits_rmsprop": {"dataset": "digits", "opt": "rmsprop", "lr": 0.0015, "eps": 1e-3},
}

# The keys of MindCV's own files, with their values for width 1.4 on Ascend.
MINDCV = """\
# system
mode: 0
distribute: True
num_parallel_workers: 8

# dataset
dataset: 'imagenet'
data_dir: '/path/to/imagenet'
shuffle: True
dataset_download: False
batch_size: 256
drop_remainder: True

# augmentation
image_resize: 224
scale: [0.08, 1.0]
ratio: [0.75, 1.333]
hflip: 0.5
interpolation: 'bilinear'
crop_pct: 0.875

# model
model: 'mnasnet_140'
num_classes: 1000
pretrained: False
ckpt_path: ''
keep_checkpoint_max: 10
ckpt_save_dir: './ckpt'
epoch_size: 400
dataset_sink_mode: True
amp_level: 'O0'

# loss
loss: 'CE'
label_smoothing: 0.1

# lr scheduler
scheduler: 'cosine_decay'
min_lr: 1e-10
lr: 0.016
warmup_epochs: 5
decay_epochs: 395

# optimizer
opt: 'rmsprop'
momentum: 0.9
weight_decay: 1e-5
loss_scale: 256
use_nesterov: False
eps: 1e-3
"""


def options(path: Path) -> dict:
    return load_config(["-c", str(path)]).options()


def opening(path: Path) -> str:
    """The comment that a file opens with, up to the first line that is none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    length = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(lines[:length])


def test_these_are_all_recipes():
    assert [path.stem for path in RECIPES] == sorted([*PUBLISHED, *FURTHER])


@pytest.mark.parametrize("name", PUBLISHED)
def test_imagenet_recipes_are_the_published_ones(name):
    model, epochs, lr, batch_size, _ = PUBLISHED[name]
    own = {
        "model": model,
        "epoch_size": epochs,
        "decay_epochs": epochs - 5,
        "lr": lr,
        "batch_size": batch_size,
    }
    read = options(FOLDER / f"{name}.yaml")
    assert read == IMAGENET | own


@pytest.mark.parametrize("name", FURTHER)
def test_further_recipes_are_what_their_comments_say(name):
    read = options(FOLDER / f"{name}.yaml")
    assert {key: read[key] for key in FURTHER[name]} == FURTHER[name]


@pytest.mark.parametrize("name", [name for name in FURTHER if "digits" not in name])
def test_a_recipe_without_published_figures_says_what_it_rests_on_and_that_it_is_not_measured(name):
    text = opening(FOLDER / f"{name}.yaml")
    assert re.search(r"^# Evidence: +\w", text, re.MULTILINE)
    assert re.search(r"^# Expected: .*not measured", text, re.MULTILINE)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_names_a_registered_model(path):
    assert find_model(options(path)["model"])


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_opens_with_command_devices_accuracy_and_epoch_time(path):
    text = opening(path)
    config = f"configs/mnasnet/{path.name}"
    for program in ("train.py", "validate.py"):
        assert re.search(
            rf"^#   (mpirun -n 8 )?python {program} -c {re.escape(config)}\b", text, re.MULTILINE
        )
    for label in ("Devices", "Expected", "Epoch time"):
        assert re.search(rf"^# {label}: +(.*\d.*|.*not measured.*)$", text, re.MULTILINE), label
    assert re.search(rf"^# Devices: .*batch size {options(path)['batch_size']}\b", text, re.MULTILINE)


@pytest.mark.parametrize("name", PUBLISHED)
def test_imagenet_recipes_state_the_published_figures(name):
    *_, batch_size, (top1, top5) = PUBLISHED[name]
    text = opening(FOLDER / f"{name}.yaml")
    expected, epoch_time = (
        re.search(rf"^# {label}: +(.*)", text, re.MULTILINE)[1] for label in ("Expected", "Epoch time")
    )
    assert re.findall(r"\d+\.\d+", expected) == [top1, top5]
    assert f"batch size {batch_size} per device, {8 * batch_size} in total" in text
    assert epoch_time.startswith(EPOCH_TIME.get(name, "not measured"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_line_of_a_recipe_is_one_option(path):
    """No key that loads only for MindCV's sake, and none twice."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    keys = [line.split(":")[0] for line in lines]
    assert len(keys) == len(set(keys))
    assert set(keys) <= set(options(path))


def test_a_recipe_as_mindcv_writes_it_loads_unchanged(tmp_path):
    path = tmp_path / "mnasnet1.4_ascend.yaml"
    path.write_text(MINDCV, encoding="utf-8")
    expected = options(FOLDER / "mnasnet1.4_ascend.yaml")
    # MindCV's files do not set these; auto is 0.4 there too.
    ours = {"val_while_train": False, "drop_rate": None, "color_jitter": "auto"}
    assert options(path) == expected | ours | {"data_dir": "/path/to/imagenet"}
