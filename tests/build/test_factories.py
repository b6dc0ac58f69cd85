"""The options are the keywords and the choices of the factories, whose rooms do not know them."""

import dataclasses
import inspect
from typing import get_args

import pytest
from mindspore import nn

from mindcv.config import OPTION_TYPES
from mindcv import scheduler
from mindcv.data import (
    Pipeline,
    catalogue,
    create_dataset,
    create_loader,
    create_transforms,
    epoch_indices,
    progressive_stages,
    transforms,
)
from mindcv.engine import CheckpointManager, Saving, Trainer
from mindcv.step import DistillationLoss, Ema, LossScale, Normalized, mixed_precision, precision
from mindcv.engine.resume import read_state
from mindcv.loss import create_loss
from mindcv.models import MnasNet, create_model, freeze, layers
from mindcv.optim import create_optimizer, groups
from mindcv.optim import factory as optim_factory
from mindcv.scheduler import create_scheduler
from mindcv.config import (
    AugmentConfig,
    CheckpointConfig,
    DataConfig,
    EmaConfig,
    LossConfig,
    MixConfig,
    ModelConfig,
    OptimizerConfig,
    PolicyConfig,
    PrecisionConfig,
    ScheduleConfig,
    TeacherConfig,
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
    "val_image_resize": "image_resize",
    "progressive_sizes": "sizes",
    "progressive_epochs": "epochs",
    "freeze": "what",
    "amp_level": "level",
    "val_amp_level": "level",
    "amp_dtype": "dtype",
    "loss_scale": "value",
    "loss_scale_type": "dynamic",
    "drop_overflow_update": "skip",
    "teacher": "model_name",
    "teacher_ckpt_path": "checkpoint_path",
    "distill_alpha": "alpha",
    "distill_temperature": "temperature",
    "distill_hard": "hard",
    "ema_decay": "decay",
    "ckpt_save_steps": "every_updates",
    "ckpt_save_minutes": "every_seconds",
    "resume": "path",
    "on_nan": "rollback",
}

ERASING = {f"re_{name}" for name in ("prob", "scale", "ratio", "value", "max_attempts")}
POLICY = {"auto_augment", "color_jitter", *ERASING}
MIXING = {"mixup", "cutmix", "cutmix_prob", "mixup_switch_prob", "mixup_off_epoch"}
OTHER_TRANSFORMS = set(inspect.signature(create_transforms).parameters) - POLICY
OTHER_BATCHES = {field.name for field in dataclasses.fields(Pipeline)} - MIXING
OTHER_DATA = MIXING | {
    *("source", "transform", "later_transforms", "is_training", "seed", "rank", "size", "num_classes"),
    *("aug_repeats", "accumulation", "teacher", "python_multiprocessing"),
}
PYRAMID = {"features_only", "out_indices"}
OTHER_MODEL = {"num_classes", "in_channels", "pretrained", "new_classifier", "kwargs", *PYRAMID}


# Sections, and what takes their options as keywords; with it, what the program itself gives as keywords.
FACTORIES = {
    DataConfig: {
        Pipeline: OTHER_DATA,
        create_dataset: {"num_shards", "shard_id"},
        create_loader: {
            *("dataset", "is_training", "transform", "target_transform", "python_multiprocessing"),
            *("mixup", "cutmix", "cutmix_prob", "num_classes"),
        },
    },
    AugmentConfig: {
        create_transforms: {"dataset_name", "is_training", "in_channels", *POLICY},
        Normalized: {"network"},
        progressive_stages: set(),
    },
    PolicyConfig: {
        create_transforms: OTHER_TRANSFORMS,
        epoch_indices: {"total", "seed", "epoch", "rank", "size", "shuffle", "num_samples"},
    },
    MixConfig: {Pipeline: OTHER_BATCHES},
    ModelConfig: {
        create_model: {"kwargs", "ema", *PYRAMID},
        MnasNet: {"stages", "width", "stem_channels", "sync_bn"},
        freeze: {"network"},
    },
    LossConfig: {create_loss: {"weight", "reduction"}},
    PrecisionConfig: {LossScale: {"window"}, mixed_precision: {"network", "device"}},
    TeacherConfig: {DistillationLoss: {"loss"}, create_model: OTHER_MODEL | {"ema"}},
    OptimizerConfig: {create_optimizer: {"model_or_params", "lr", "loss_scale", "kwargs"}},
    ScheduleConfig: {create_scheduler: {"steps_per_epoch"}},
    EmaConfig: {
        Ema: {"network", "average"},
        create_model: OTHER_MODEL | {"model_name", "checkpoint_path"},
    },
    CheckpointConfig: {
        CheckpointManager: {"name", "tensors", "metadata"},
        Trainer: set(inspect.signature(Trainer).parameters) - {"rollback"},
        Saving: {"stop_requested", "combine", "look_every"},
        read_state: set(),
    },
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
        ("amp_level", precision.AMP_LEVELS),
        ("val_amp_level", precision.AMP_LEVELS),
        ("amp_dtype", precision.TYPES),
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
