"""The options are the keywords and the choices of the factories, whose rooms do not import the options."""

import inspect
from typing import Any, get_args

import pytest
from mindspore import nn

from mindcv.choices import AmpLevel, Dataset, HalfPrecision, Interpolation
from mindcv.config import OPTION_TYPES
from mindcv.config.option import options_of
from mindcv.config.sections.data import AugmentConfig, DataConfig, MixConfig, PolicyConfig
from mindcv.config.sections.network import (
    DistillationConfig,
    FreezingConfig,
    LossConfig,
    ModelConfig,
    TeacherConfig,
)
from mindcv.config.sections.output import CheckpointConfig
from mindcv.config.sections.training import OptimizerConfig, ScheduleConfig
from mindcv.data import Pipeline, catalogue, create_transforms, evaluation_transforms
from mindcv.engine import CheckpointManager
from mindcv.loss import create_loss
from mindcv.models import create_model, freeze
from mindcv.models.inverted_residual import InvertedResidualNetwork
from mindcv.optim import create_optimizer
from mindcv.scheduler import create_scheduler
from mindcv.step import DistillationLoss, precision

# A factory, the sections forwarded to it, and the keywords that a program or a notebook gives itself.
FORWARDED: list[tuple[Any, tuple[type, ...], set[str]]] = [
    (create_scheduler, (ScheduleConfig,), {"steps_per_epoch"}),
    (
        create_optimizer,
        (OptimizerConfig,),
        {"model_or_params", "lr", "loss_scale", "schedule_decay", "checkpoint_path", "kwargs"},
    ),
    (create_loss, (LossConfig,), {"weight", "reduction"}),
    (
        create_transforms,
        (AugmentConfig, PolicyConfig),
        {
            *("dataset_name", "image_resize", "is_training", "separate", "in_channels"),
            *("mean", "std", "normalize"),
        },
    ),
    (
        Pipeline,
        (DataConfig, MixConfig),
        {
            *("source", "transform", "later_transforms", "is_training", "seed", "rank", "world_size"),
            *(
                "num_classes",
                "accumulation",
                "teacher",
                "python_multiprocessing",
                "resumed_workers",
                "prepared",
            ),
        },
    ),
    (create_model, (ModelConfig,), {"ema", "auto_mapping", "features_only", "out_indices", "sync_bn"}),
    (freeze, (FreezingConfig,), {"network"}),
    (DistillationLoss, (DistillationConfig,), {"loss"}),
    (CheckpointManager, (CheckpointConfig,), {"name", "aliases", "tensors", "metadata"}),
]

# Where MindCV's own factories have other defaults than its command line; and 0 copies of an image are 1.
OTHER_DEFAULTS = {"num_epochs", "scheduler", "lr", "weight_decay", "drop_remainder", "aug_repeats"}


def keywords(factory: Any) -> dict[str, inspect.Parameter]:
    """The keywords of a factory; those of a model's architecture are part of `create_model`'s."""
    found = dict(inspect.signature(factory).parameters)
    if factory is create_model:
        del found["kwargs"]
        own = inspect.signature(InvertedResidualNetwork).parameters.values()
        found |= {p.name: p for p in own if p.kind is p.KEYWORD_ONLY}
    return found


def ids(value: Any) -> str | None:
    return getattr(value, "__name__", None)


@pytest.mark.parametrize(("factory", "sections", "given"), FORWARDED, ids=ids)
def test_the_fields_of_forwarded_sections_are_all_keywords_of_their_factory(factory, sections, given):
    options = [option.field for section in sections for option in options_of(section)]
    assert sorted([*options, *given]) == sorted(keywords(factory))


@pytest.mark.parametrize(("factory", "sections", "given"), FORWARDED, ids=ids)
def test_an_option_has_the_default_of_its_keyword(factory, sections, given):
    parameters = keywords(factory)
    for option in (option for section in sections for option in options_of(section)):
        default = parameters[option.field].default
        undecided = None in (option.default, default) or default is inspect.Parameter.empty
        assert undecided or option.default == default or option.field in OTHER_DEFAULTS, option.field


def test_a_teacher_is_created_by_keywords_too():
    assert {option.field for option in options_of(TeacherConfig)} <= set(keywords(create_model))


@pytest.mark.parametrize(
    ("choices", "accepted"),
    [
        (Dataset, catalogue.DATASETS),
        (Interpolation, evaluation_transforms.INTERPOLATIONS),
        (AmpLevel, precision.AMP_LEVELS),
        (HalfPrecision, precision.TYPES),
    ],
)
def test_tables_of_the_factories_have_an_entry_for_every_choice(choices, accepted):
    assert sorted(get_args(choices)) == sorted(accepted)


def test_every_choice_is_accepted_by_its_factory():
    for loss in get_args(OPTION_TYPES["loss"]):
        assert create_loss(loss)
    for interpolation in get_args(OPTION_TYPES["interpolation"]):
        assert create_transforms("cifar10", 32, interpolation=interpolation)
    for kind in get_args(OPTION_TYPES["scheduler"]):
        assert len(create_scheduler(2, kind, decay_epochs=1, milestones=[1], num_epochs=5)) == 10
    network = nn.Dense(1, 1)
    for opt in get_args(OPTION_TYPES["opt"]):
        for excluded in get_args(OPTION_TYPES["weight_decay_filter"]):
            assert create_optimizer(network, opt, weight_decay_filter=excluded)


def test_every_optimizer_and_schedule_is_created_by_a_rule_of_its_own():
    kinds = {
        opt: type(create_optimizer(nn.Dense(1, 1), opt)).__name__ for opt in get_args(OPTION_TYPES["opt"])
    }
    assert len(set(kinds.values())) == len(kinds) - 1  # sgd and nesterov share nn.SGD


def test_defaults_of_the_options_are_accepted_by_the_scheduler():
    assert len(create_scheduler(3, **vars(ScheduleConfig()))) == 3 * 90
