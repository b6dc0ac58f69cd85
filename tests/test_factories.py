"""The options are the keywords and the choices of the factories, whose rooms do not know them."""

import dataclasses
import inspect
from typing import get_args

import pytest
from mindspore import nn

from config import OPTION_TYPES
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
        create_loader: {
            *("dataset", "is_training", "transform", "target_transform", "python_multiprocessing"),
            *("mixup", "cutmix", "cutmix_prob", "num_classes"),
        },
    },
    AugmentConfig: {
        create_transforms: {
            *("dataset_name", "is_training", "in_channels", "auto_augment", "color_jitter"),
            *("re_prob", "re_scale", "re_ratio", "re_value", "re_max_attempts"),
        },
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
