"""The networks of a run: the trained one, its EMA model and its teacher."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mindspore import nn

from mindcv.build.agreement import compare_weights
from mindcv.build.class_names import check_teacher_classes, match_classifier
from mindcv.build.pipelines import channel_scale, count_classes
from mindcv.build.resumed_run import Found, resumed_options
from mindcv.build.stored_config import holds_training_state
from mindcv.config import Config
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import EMA_PREFIX
from mindcv.loss import create_loss
from mindcv.models import create_model, freeze, seed_dropout
from mindcv.models.weights.network_loading import evaluation_options
from mindcv.models.weights.pretrained import CLASSES
from mindcv.models.weights.weight_files import read_weights
from mindcv.runtime.session import Runtime
from mindcv.step import (
    DistillationLoss,
    NetworkWithLoss,
    NetworkWithTeacher,
    NetworkWithTeacherLogits,
    Normalized,
    mixed_precision,
)
from mindcv.structure import classifier_parameters

__all__ = ["build_ema_model", "build_forward", "build_network", "normalized"]

logger = logging.getLogger("mindcv.build")

RANDOM_WEIGHTS = {"pretrained": False, "checkpoint_path": "", "new_classifier": False}


def build_network(
    config: Config,
    classes: Sequence[str],
    runtime: Runtime,
    *,
    is_training: bool = False,
    resumed: Found | None = None,
) -> nn.Cell:
    """Return the unwrapped network, with the weights of `ckpt_path` or the published ones if given.

    For a validation with `ema` these are the EMA model's.

    Args:
        config: Options.
        classes: Names of the dataset's classes.
        runtime: This process.
        is_training: Whether it is to be trained.
        resumed: The checkpoint that its training resumes from, see `find_resumed`; it holds all the weights.
    """
    network = _network(
        config,
        classes,
        runtime,
        resumed_options(resumed, runtime) if is_training and config.recovery.resume else {},
        pretrained=resumed is None and _from_published(config, classes, runtime, is_training=is_training),
        checkpoint_path=config.model.checkpoint_path,
        ema=config.ema.ema and not is_training,
        new_classifier=config.model.new_classifier and is_training,
    )
    if config.model.checkpoint_path or (config.model.pretrained and not is_training):
        classifier = classifier_parameters(network) if config.model.new_classifier else []
        new = {id(parameter) for parameter in classifier}
        loaded = [parameter for parameter in network.get_parameters() if id(parameter) not in new]
        compare_weights(loaded, "ckpt_path", runtime)
    if is_training and not config.recovery.resume:
        _start_from_weights(config, network, classes, runtime)
    seed_dropout(network, config.system.seed, runtime.rank)
    if is_training and config.freezing.what is not None:
        freeze(network, **vars(config.freezing))
    level = config.precision.amp_level if is_training else config.precision.val_amp_level
    mixed_precision(network, level, config.precision.amp_dtype, device=runtime.device)
    return network


def _start_from_weights(config: Config, network: nn.Cell, classes: Sequence[str], runtime: Runtime) -> None:
    """Fit the loaded classifier to the images, and say what `ckpt_path` leaves out of a file."""
    model = config.model
    if runtime.is_main and model.checkpoint_path and holds_training_state(model.checkpoint_path):
        logger.info(
            "%s: its weights start a new run; --resume %s would continue its own",
            model.checkpoint_path,
            model.checkpoint_path,
        )
    published = model.pretrained and count_classes(config, classes) == CLASSES
    if (model.checkpoint_path or published) and not model.new_classifier:
        match_classifier(config, network, classes)


def _from_published(config: Config, classes: Sequence[str], runtime: Runtime, *, is_training: bool) -> bool:
    """Return whether this process loads the published weights."""
    if not config.model.pretrained:
        return False
    if is_training:
        # All ranks start from rank 0's values, see `broadcast_initial_values`.
        return runtime.is_main
    found = count_classes(config, classes)
    if found != CLASSES:
        raise UserError(
            f"pretrained=True scores the {CLASSES} classes of ImageNet, and these are {found}: train on them "
            "first, and give ckpt_path instead"
        )
    return True


def build_ema_model(
    config: Config, network: nn.Cell, classes: Sequence[str], runtime: Runtime
) -> nn.Cell | None:
    """Return a network for the EMA of another's weights; None without `ema`."""
    if not config.ema.ema:
        return None
    ema_model = _network(config, classes, runtime, evaluation_options(network))
    mixed_precision(ema_model, config.precision.amp_level, config.precision.amp_dtype, device=runtime.device)
    return ema_model


def _network(
    config: Config,
    classes: Sequence[str],
    runtime: Runtime,
    built: Mapping[str, Any],
    **loading: Any,
) -> nn.Cell:
    """Return a network by the options; those that they leave open are as another one was built."""
    given = {name: value for name, value in vars(config.model).items() if value is not None}
    return create_model(
        **{**built, **given, **RANDOM_WEIGHTS, **loading, "num_classes": count_classes(config, classes)},
        sync_bn=(config.parallel.sync_bn and runtime.world_size > 1) or None,
    )


def build_forward(config: Config, network: nn.Cell, classes: Sequence[str]) -> nn.Cell:
    """Return the network with its loss, and with a teacher if it has one."""
    loss = create_loss(**vars(config.loss))
    student = normalized(config, network)
    if not config.teacher.model_name:
        return NetworkWithLoss(student, loss)
    loss = DistillationLoss(loss, **vars(config.distillation))
    if config.teacher.is_onnx:
        return NetworkWithTeacherLogits(student, loss)
    return NetworkWithTeacher(student, normalized(config, _teacher(config, classes)), loss)


def _teacher(config: Config, classes: Sequence[str]) -> nn.Cell:
    """Return the teacher with its EMA weights, which score higher, where its checkpoint holds them."""
    path = config.teacher.checkpoint_path
    try:
        check_teacher_classes(config, classes)
        ema = any(name.startswith(EMA_PREFIX) for name in read_weights(path).tensors)
        teacher = create_model(
            num_classes=count_classes(config, classes),
            in_channels=config.model.in_channels,
            ema=ema,
            **vars(config.teacher),
        )
    except UserError as error:
        raise UserError(f"teacher={config.teacher.model_name}, teacher_ckpt_path: {error}") from error
    if ema:
        logger.info("teacher=%s: teaches with the EMA weights of %s", config.teacher.model_name, path)
    return teacher


def normalized(config: Config, network: nn.Cell) -> Normalized:
    """Return a network that takes the images as the pipeline delivers them."""
    return Normalized(network, *channel_scale(config))
