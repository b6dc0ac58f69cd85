"""MindCV's public recipes load, and mean here what they mean there, or say where they do not."""

import re
from pathlib import Path

import pytest
import yaml

from mindcv.config import load_config
from mindcv.config.mindcv_files import MINDCV_KEYS, MINDCV_OFF
from mindcv.errors import UserError
from mindcv.models import find_model, is_model
from tests.support.mindcv_rules import DEFAULTS, KEPT, effective_here, effective_in_mindcv

FACTS = yaml.safe_load(Path(__file__).with_name("mindcv_values.yaml").read_text(encoding="utf-8"))
VALUES, COMBINATIONS, MODELS = FACTS["values"], FACTS["combinations"], FACTS["models"]
# File number i has the i-th value of every key; those with more values than 20 are lr and decay_epochs.
FILES = [
    pytest.param(i, marks=[pytest.mark.slow] if i >= 20 else [])
    for i in range(max(len(values) for values in VALUES.values()))
]
MIGRATION = Path(__file__).parents[2] / "docs" / "migration.md"

# Older names of options that are not in the table of MindCV's newest version.
OLDER = {"filter_bias_and_bn", "mixup_off_epoch", "dynamic_loss_scale", "enable_modelarts"}
DROPPED = {*MINDCV_OFF, "amp_cast_list"}
# Here it is the best device present, which is Ascend wherever MindCV's default can run.
DEVICE = {"device_target"}


def differing(path, mapping) -> set[str]:
    """The options whose effective value is not MindCV's, for a file with the given options."""
    ours, theirs = effective_here(load_config(["-c", path])), effective_in_mindcv(mapping)
    found = {key for key in theirs if key not in DROPPED and ours[key] != theirs[key]}
    return found - DEVICE


def test_the_table_has_every_option_of_mindcv():
    assert DEFAULTS.keys() | (OLDER - {"filter_bias_and_bn"}) == MINDCV_KEYS | DROPPED
    assert VALUES.keys() <= DEFAULTS.keys() | OLDER


def test_what_a_file_leaves_unsaid_is_mindcvs_default_but_for_what_the_documentation_lists(recipe):
    assert differing(recipe("seed: 42"), {}) == {"decay_epochs", "model", "data_dir"}


@pytest.mark.parametrize("i", FILES)
def test_every_value_of_every_key_means_what_it_means_in_mindcv_or_is_reported(recipe, capsys, i):
    mapping = {key: values[i % len(values)] for key, values in VALUES.items()} | {"model": "mnasnet_100"}
    reported = {
        "loss scale": mapping["loss_scale_type"] == "auto" and mapping["amp_level"] == "O3",
        "epsilon": mapping["opt"].lower() == "adamw" and mapping["eps"] != 1e-8,
    }
    assert differing(recipe(yaml.safe_dump(mapping)), mapping) == {key for key in reported if reported[key]}
    said = capsys.readouterr().err
    assert ("loss_scale_type=auto" in said, "eps=" in said) == tuple(reported.values())


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_whole_recipe_means_what_it_means_in_mindcv(recipe, name):
    mapping = COMBINATIONS[name]
    unsaid = {"decay_epochs"} - mapping.keys()  # of multi_step_decay, which does not use it
    assert differing(recipe(yaml.safe_dump(mapping)), mapping) == unsaid
    assert not unsaid or mapping["scheduler"] == "multi_step_decay"


def test_a_model_that_does_not_exist_here_is_refused_by_its_name():
    here = [name for name in MODELS if is_model(name)]
    assert len(here) == 11
    for name in set(MODELS) - set(here):
        with pytest.raises(UserError, match=f"^unknown model '{re.escape(name)}'"):
            find_model(name)


@pytest.mark.parametrize("key", [key for key, kept in KEPT.items() if kept])
def test_another_meaning_is_reported_once_when_a_file_is_loaded(recipe, capsys, key):
    path = recipe(yaml.safe_dump(KEPT[key]["file"]))
    load_config(["-c", path])
    assert (
        capsys.readouterr().err == f"{path}: unlike in MindCV, {KEPT[key]['said']} (see docs/migration.md)\n"
    )


def test_the_documentation_lists_every_other_meaning_and_no_further():
    table = MIGRATION.read_text(encoding="utf-8").partition("## Other meanings")[2].partition("\n## ")[0]
    rows = [set(re.findall(r"`(\w+)", row)) for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)]
    assert [row for row in rows if not row & KEPT.keys()] == []
    assert KEPT.keys() - set().union(*rows) == set()


def test_what_the_command_line_replaces_is_not_reported(recipe, capsys):
    path = recipe("epoch_size: 300\nema: true\nopt: adamw\neps: 0.01")
    load_config(
        ["-c", path, "--model", "mnasnet_100", "--decay_epochs", "297", "--ema", "false", "--eps", "1e-8"]
    )
    assert capsys.readouterr().err == ""


def test_an_empty_dataset_name_is_a_folder_of_ones_own_images_as_in_mindcv(recipe):
    assert load_config(["-c", recipe("dataset: ''")]).dataset.name == "image_folder"
