"""The network of a run, its moving average and its teacher."""

from collections.abc import Mapping, Sequence
from typing import Any

from mindspore import nn

from mindcv.build.pipelines import channel_scale, count_classes
from mindcv.build.resumed_run import Found, resumed_options
from mindcv.config import Config
from mindcv.step import (DistillationLoss, NetworkWithLoss, NetworkWithTeacher, NetworkWithTeacherLogits, Normalized, mixed_precision,)
from mindcv.errors import UserError
from mindcv.loss import create_loss
from mindcv.models import create_model, freeze, seed_dropout
from mindcv.models.weights.loading import evaluation_options
from mindcv.models.weights.pretrained import CLASSES
from mindcv.runtime.session import Runtime

__all__ = ["build_average", "build_forward", "build_network", "normalized"]


def build_network(
    config: Config,
    classes: Sequence[str],
    runtime: Runtime,
    *,
    is_training: bool = False,
    resumed: Found | None = None,
) -> nn.Cell:
    """The bare network, with the weights of `ckpt_path` or the published ones where the options say so.

    For a validation with `ema` these are the moving average's.

    Args:
        config: Options.
        classes: Names of the dataset's classes.
        runtime: This process.
        is_training: Whether it is to be trained.
        resumed: What its training goes on with, from `find_resumed`; then it has all the weights.
    """
    network = _network(
        config,
        classes,
        runtime,
        resumed_options(resumed, runtime) if is_training and config.checkpoint.resume else {},
        pretrained=resumed is None and _from_published(config, classes, runtime, is_training=is_training),
        checkpoint_path=config.model.ckpt_path,
        ema=config.ema.ema and not is_training,
        new_classifier=config.model.new_classifier and is_training,
    )
    seed_dropout(network, config.system.seed, runtime.rank)
    if is_training and config.model.freeze is not None:
        freeze(network, config.model.freeze)
    level = config.precision.amp_level if is_training else config.precision.val_amp_level
    mixed_precision(network, level, config.precision.amp_dtype, device=runtime.device)
    return network


def _from_published(config: Config, classes: Sequence[str], runtime: Runtime, *, is_training: bool) -> bool:
    """Whether this process is to load the published weights."""
    if not config.model.pretrained:
        return False
    if is_training:
        # All ranks begin with rank 0's values, see `build_train_step`.
        return runtime.is_main
    found = count_classes(config, classes)
    if found != CLASSES:
        raise UserError(
            f"pretrained=True scores the {CLASSES} classes of ImageNet, and these are {found}: train on them "
            "first, and give ckpt_path instead"
        )
    return True


def build_average(
    config: Config, network: nn.Cell, classes: Sequence[str], runtime: Runtime
) -> nn.Cell | None:
    """The network that is to hold the moving average of another's weights, if there is to be one."""
    if not config.ema.ema:
        return None
    average = _network(config, classes, runtime, evaluation_options(network))
    mixed_precision(average, config.precision.amp_level, config.precision.amp_dtype, device=runtime.device)
    return average


def _network(
    config: Config,
    classes: Sequence[str],
    runtime: Runtime,
    built: Mapping[str, Any],
    **loading: Any,
) -> nn.Cell:
    """A network by the options, and where these leave it open, as another one was built."""
    model = config.model
    return create_model(
        model.model,
        num_classes=count_classes(config, classes),
        in_channels=model.in_channels,
        **loading,
        drop_rate=model.drop_rate,
        drop_path_rate=model.drop_path_rate,
        bn_eps=model.bn_eps if model.bn_eps is not None else built.get("bn_eps"),
        bn_momentum=model.bn_momentum,
        padding=model.padding if model.padding is not None else built.get("padding"),
        sync_bn=(config.parallel.sync_bn and runtime.world_size > 1) or None,
    )


def build_forward(config: Config, network: nn.Cell, classes: Sequence[str]) -> nn.Cell:
    """The network with its loss, and with a teacher if it has one."""
    loss = create_loss(
        config.loss.loss, label_smoothing=config.loss.label_smoothing, aux_factor=config.loss.aux_factor
    )
    student = normalized(config, network)
    options = config.teacher
    if not options.teacher:
        return NetworkWithLoss(student, loss)
    loss = DistillationLoss(
        loss,
        alpha=options.distill_alpha,
        temperature=options.distill_temperature,
        hard=options.distill_hard,
    )
    if options.is_onnx:
        return NetworkWithTeacherLogits(student, loss)
    try:
        teacher = create_model(
            options.teacher,
            num_classes=count_classes(config, classes),
            in_channels=config.model.in_channels,
            checkpoint_path=options.teacher_ckpt_path,
        )
    except UserError as error:
        raise UserError(f"teacher={options.teacher}, teacher_ckpt_path: {error}") from error
    return NetworkWithTeacher(student, normalized(config, teacher), loss)


def normalized(config: Config, network: nn.Cell) -> Normalized:
    """A network that takes the images as the pipeline delivers them."""
    return Normalized(network, *channel_scale(config))
