"""From a `Config` to objects: the only room that knows both the options and the factories."""

import logging
from collections.abc import Callable, Sequence

from mindspore import nn

from config import Config
from mindcv.data import Pipeline, channel_statistics, create_source, create_transforms
from mindcv.engine import (
    CheckpointManager,
    EvalStep,
    Evaluation,
    History,
    Normalized,
    TrainStep,
    batch_norm_statistics,
    evaluate,
    training_state,
)
from mindcv.loss import create_loss
from mindcv.models import create_model
from mindcv.optim import create_optimizer
from mindcv.runtime.collectives import average_parameters, broadcast_parameters
from mindcv.runtime.session import Runtime, start
from mindcv.scheduler import create_scheduler, scale_for_batch

__all__ = [
    "build_checkpoints",
    "build_evaluation",
    "build_history",
    "build_learning_rates",
    "build_network",
    "build_optimizer",
    "build_statistics_exchange",
    "build_train_step",
    "build_training_data",
    "build_validation_data",
    "learning_rate_factor",
    "start_runtime",
]


logger = logging.getLogger("mindcv.build")


def start_runtime(config: Config) -> Runtime:
    """Choose device and mode, join the other processes, and seed this one."""
    system = config.system
    return start(
        device_target=system.device_target,
        mode=system.mode,
        distribute=config.parallel.distribute,
        seed=system.seed,
    )


def build_training_data(config: Config, runtime: Runtime) -> Pipeline:
    """The training images, augmented, as batches of this rank."""
    return _pipeline(config, runtime, config.data.train_split, is_training=True)


def build_validation_data(config: Config, runtime: Runtime) -> Pipeline:
    """The validation images as batches of this rank; over all ranks each image comes once."""
    return _pipeline(config, runtime, config.data.val_split, is_training=False)


def _pipeline(config: Config, runtime: Runtime, split: str, *, is_training: bool) -> Pipeline:
    data, augment = config.data, config.augment
    source = create_source(data.dataset, data.data_dir, split, splits=(data.train_split, data.val_split))
    transform = create_transforms(
        data.dataset,
        image_resize=augment.image_resize,
        is_training=is_training,
        scale=augment.scale,
        ratio=augment.ratio,
        hflip=augment.hflip,
        vflip=augment.vflip,
        interpolation=augment.interpolation,
        crop_pct=augment.crop_pct,
        crop_padding=augment.crop_padding,
        in_channels=config.model.in_channels,
    )
    return Pipeline(
        source=source,
        transform=transform,
        batch_size=data.batch_size,
        is_training=is_training,
        drop_remainder=is_training and data.drop_remainder,
        shuffle=data.shuffle,
        seed=config.system.seed,
        rank=runtime.rank,
        size=runtime.size,
        num_parallel_workers=data.num_parallel_workers,
        num_samples=data.num_samples if is_training else None,
        num_classes=config.model.num_classes,
    )


def build_network(config: Config, classes: Sequence[str], runtime: Runtime) -> nn.Cell:
    """The bare network, with the weights of `ckpt_path` where that is set."""
    model = config.model
    return create_model(
        model.model,
        num_classes=model.num_classes or len(classes),
        in_channels=model.in_channels,
        checkpoint_path=model.ckpt_path,
        drop_rate=model.drop_rate,
        drop_path_rate=model.drop_path_rate,
        bn_eps=model.bn_eps,
        bn_momentum=model.bn_momentum,
        padding=model.padding,
        sync_bn=(config.parallel.sync_bn and runtime.size > 1) or None,
    )


def learning_rate_factor(config: Config, runtime: Runtime) -> float:
    """What the learning rates are multiplied by for the global batch."""
    parallel = config.parallel
    return scale_for_batch(parallel.lr_scale, config.data.batch_size * runtime.size, parallel.lr_scale_batch)


def build_learning_rates(config: Config, steps_per_epoch: int, runtime: Runtime) -> list[float]:
    """The learning rate of every step, for the global batch."""
    schedule = config.schedule
    factor = learning_rate_factor(config, runtime)
    if runtime.is_main:
        logger.info(
            "global batch %d = %d x %d, peak lr %g",
            config.data.batch_size * runtime.size,
            runtime.size,
            config.data.batch_size,
            schedule.lr * factor,
        )
    return create_scheduler(
        steps_per_epoch,
        scheduler=schedule.scheduler,
        lr=schedule.lr * factor,
        min_lr=schedule.min_lr * factor,
        warmup_epochs=schedule.warmup_epochs,
        warmup_factor=schedule.warmup_factor,
        decay_epochs=schedule.decay_epochs,
        decay_rate=schedule.decay_rate,
        milestones=schedule.multi_step_decay_milestones,
        num_epochs=schedule.epoch_size,
        num_cycles=schedule.num_cycles,
        cycle_decay=schedule.cycle_decay,
        lr_epoch_stair=schedule.lr_epoch_stair,
    )


def build_optimizer(config: Config, network: nn.Cell, learning_rates: list[float]) -> nn.Optimizer:
    """The optimizer of the network's parameters."""
    optimizer = config.optimizer
    return create_optimizer(
        network,
        opt=optimizer.opt,
        lr=learning_rates,
        weight_decay=optimizer.weight_decay,
        momentum=optimizer.momentum,
        nesterov=optimizer.use_nesterov,
        weight_decay_filter=optimizer.weight_decay_filter,
        eps=optimizer.eps,
    )


def build_train_step(
    config: Config, network: nn.Cell, optimizer: nn.Optimizer, runtime: Runtime
) -> TrainStep:
    """The step that normalises a batch of images and learns from it; all ranks start from rank 0's values."""
    loss = create_loss(
        config.loss.loss, label_smoothing=config.loss.label_smoothing, aux_factor=config.loss.aux_factor
    )
    reduce = None
    if runtime.size > 1:
        broadcast_parameters([*network.get_parameters(), *optimizer.get_parameters()])
        reduce = nn.DistributedGradReducer(optimizer.parameters, mean=True, degree=runtime.size)
    normalized = _normalized(config, network)
    return TrainStep(normalized, loss, optimizer, reduce=reduce, loss_scale=config.optimizer.loss_scale)


def build_evaluation(
    config: Config, network: nn.Cell, data: Pipeline, runtime: Runtime
) -> Callable[[], Evaluation]:
    """A function that scores the network as it then is, and names an image that cannot be read.

    Its loss knows no label smoothing.
    """
    step = EvalStep(_normalized(config, network), create_loss(config.loss.loss, reduction="none"))

    def run() -> Evaluation:
        batches = data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True)
        try:
            return evaluate(step, batches, data.batch_size, combine=runtime.sum_over_ranks)
        except RuntimeError as error:
            raise data.explain(error) from error

    return run


def _normalized(config: Config, network: nn.Cell) -> Normalized:
    mean, std = channel_statistics(config.data.dataset, config.model.in_channels)
    return Normalized(network, config.augment.mean or mean, config.augment.std or std)


def build_statistics_exchange(
    config: Config, network: nn.Cell, runtime: Runtime
) -> Callable[[], None] | None:
    """A function that gives all ranks the same statistics of batch normalisation, if they are to."""
    if runtime.size == 1 or config.parallel.dist_bn == "none":
        return None
    exchange = average_parameters if config.parallel.dist_bn == "reduce" else broadcast_parameters
    statistics = batch_norm_statistics(network)
    return lambda: exchange(statistics)


def build_checkpoints(
    config: Config, network: nn.Cell, optimizer: nn.Optimizer, classes: Sequence[str], runtime: Runtime
) -> CheckpointManager | None:
    """What saves the network and the state of its training; one rank does."""
    if not runtime.is_main:
        return None
    checkpoint = config.checkpoint
    return CheckpointManager(
        checkpoint.ckpt_save_dir,
        config.model.model,
        training_state(network, optimizer),
        {"config": config.options(), "classes": list(classes)},
        interval=checkpoint.ckpt_save_interval,
        policy=checkpoint.ckpt_save_policy,
        keep=checkpoint.keep_checkpoint_max,
    )


def build_history(config: Config, runtime: Runtime) -> History | None:
    """What records the epochs; one rank does."""
    return History(config.checkpoint.ckpt_save_dir) if runtime.is_main else None
