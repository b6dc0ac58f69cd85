"""Each ingredient of a recipe, switched on alone in the digits recipe, still learns the digits."""

import csv
import re
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from test_digits import RECIPE, run

pytestmark = pytest.mark.slow

TOP1 = 0.95
MODEL = "mnasnet_small"  # it learns the digits in two thirds of the time that the recipe's takes

# What is switched on, and how; what takes something away from so short a run gets more epochs.
INGREDIENTS = {
    "ema": ["--ema", "True", "--ema_decay", "0.97"],
    "bce": ["--loss", "BCE", "--lr", "0.2", "--epoch_size", "8"],
    "fp16, auto": ["--amp_level", "auto", "--loss_scale", "128"],
    "fp16, O2, dynamic": ["--amp_level", "O2", "--loss_scale", "65536", "--loss_scale_type", "dynamic"],
    "fp16, O3, fixed": ["--amp_level", "O3", "--loss_scale", "128", "--drop_overflow_update", "True"],
    "accumulation": ["--gradient_accumulation_steps", "2", "--epoch_size", "8"],
    "clip by norm": ["--clip_grad", "True", "--clip_value", "5", "--epoch_size", "8"],
    "clip by value": ["--clip_grad", "True", "--clip_mode", "value", "--clip_value", "0.05"],
    "agc": ["--clip_grad", "True", "--clip_mode", "agc", "--clip_value", "0.16", "--epoch_size", "8"],
    "mixup": ["--mixup", "0.2", "--epoch_size", "8"],
    "cutmix": ["--cutmix", "1", "--cutmix_prob", "0.5", "--epoch_size", "9"],
    "mixup and cutmix": ["--mixup", "0.2", "--cutmix", "1", "--mixup_off_epoch", "5", "--epoch_size", "9"],
    "randaugment": ["--auto_augment", "rand-m5-n1-mstd0.5-inc1", "--epoch_size", "8"],
    "autoaugment": ["--auto_augment", "original", "--epoch_size", "10"],
    "trivialaugment": ["--auto_augment", "trivialaugwide", "--epoch_size", "10"],
    "3-augment": ["--auto_augment", "3a", "--color_jitter", "0.3", "--epoch_size", "10"],
    "augmix": ["--auto_augment", "augmix-m3-w3-d2", "--epoch_size", "8"],
    "colour jitter": ["--color_jitter", "[0.4, 0.4, 0.4]"],
    "erasing": ["--re_prob", "0.25", "--epoch_size", "8"],
    "erasing with noise": ["--re_prob", "0.25", "--re_value", "random", "--epoch_size", "8"],
    "repeated augmentation": ["--aug_repeats", "2", "--epoch_size", "9"],
    "progressive resolution": [
        *("--progressive_sizes", "[32, 40, 48]", "--progressive_epochs", "[2, 4]", "--epoch_size", "9")
    ],
    # Digits are not cropped at random sizes: a network that has seen one size alone knows no other.
    "larger validation": [
        *("--image_resize", "40", "--val_image_resize", "48", "--epoch_size", "9"),
        *("--progressive_sizes", "[40, 48]", "--progressive_epochs", "[3]"),
    ],
    "layer decay": ["--layer_decay", "0.9"],
    "drop path": ["--drop_path_rate", "0.1", "--drop_rate", "0.2", "--epoch_size", "8"],
}


def train(folder: Path, *options: str) -> float:
    """Run the digits recipe with further options; the best top-1, of the EMA model if there is one."""
    output = run("train.py", "-c", RECIPE, "--model", MODEL, *options, cwd=folder)
    with (folder / "ckpt" / "digits" / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best = max(float(row["ema_top1"] or row["top1"]) for row in rows)
    assert f" top-1 {best:.4f}" in output
    return best


@pytest.mark.parametrize("name", INGREDIENTS)
def test_each_ingredient_alone_learns_the_digits(tmp_path, name):
    assert train(tmp_path, *INGREDIENTS[name]) >= TOP1


@pytest.mark.parametrize("model", ["mobilenet_v2_050", "mobilenet_v3_small_100"])
def test_every_family_learns_the_digits(tmp_path, model):
    output = run("train.py", "-c", RECIPE, "--model", model, "--epoch_size", "9", cwd=tmp_path)
    assert max(map(float, re.findall(r"top-1 ([\d.]+)", output))) >= TOP1


# --- what needs a network that has learnt already ---------------------------------------------------------


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The best checkpoint of the recipe as it is."""
    folder = tmp_path_factory.mktemp("learnt")
    assert train(folder) >= TOP1
    return folder / "ckpt" / "digits" / f"{MODEL}_best.ckpt"


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
def test_a_network_learns_from_a_teacher_of_the_registry(tmp_path, learnt, hard):
    teacher = ["--teacher", MODEL, "--teacher_ckpt_path", str(learnt)]
    options = ["--distill_alpha", "0.7", "--distill_temperature", "2", "--distill_hard", str(hard)]
    assert train(tmp_path, *teacher, *options) >= TOP1


def test_a_network_learns_from_a_teacher_in_an_onnx_file(tmp_path, learnt):
    from mindcv.models import create_model

    network = create_model(MODEL, num_classes=10, checkpoint_path=str(learnt)).set_train(False)
    image = ms.Tensor(np.zeros((1, 3, 48, 48), np.float32))
    ms.onnx.export(network, image, file_name=str(tmp_path / "teacher"), export_params=True)
    options = ["--teacher", str(tmp_path / "teacher.onnx"), "--distill_alpha", "0.7"]
    assert train(tmp_path, *options, "--distill_temperature", "2") >= TOP1


@pytest.mark.parametrize("freeze", ["backbone", "3"])
def test_a_frozen_network_keeps_what_it_has_learnt_and_trains_a_new_classifier(tmp_path, learnt, freeze):
    options = ["--ckpt_path", str(learnt), "--new_classifier", "True", "--freeze", freeze]
    assert train(tmp_path, *options, "--epoch_size", "4") >= TOP1
