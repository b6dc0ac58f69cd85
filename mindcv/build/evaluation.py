"""What a run finds out and leaves behind: evaluations, checkpoints and history."""

import math
from collections.abc import Callable, Mapping, Sequence

from mindspore import Parameter, Tensor, nn
from tqdm import tqdm

from mindcv.build.network import normalized
from mindcv.build.pipelines import build_validation_data, evaluation_batches
from mindcv.config import Config
from mindcv.data import Pipeline
from mindcv.engine import (
    CheckpointManager,
    EvalStep,
    Evaluation,
    History,
    Saving,
    evaluate,
)
from mindcv.loss import create_loss
from mindcv.models.weights.loading import evaluation_options
from mindcv.runtime.session import Runtime

__all__ = [
    "build_checkpoints",
    "build_evaluation",
    "build_history",
    "build_saving",
    "build_validations",
]

Validation = Callable[[], Evaluation | None] | None


def build_evaluation(
    config: Config,
    network: nn.Cell,
    data: Pipeline,
    runtime: Runtime,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Callable[[], Evaluation | None]:
    """A function that scores the network as it then is, and names images that cannot be read.

    Its loss knows no label smoothing. Where it is asked to stop, it returns None.
    """
    step = EvalStep(normalized(config, network), create_loss(config.loss.name, reduction="none"))

    def run() -> Evaluation | None:
        evaluation = evaluate(
            step,
            evaluation_batches(data),
            data.batch_size,
            combine=runtime.sum_over_ranks,
            stop_requested=stop_requested,
        )
        if bad_images := data.bad_images():
            tqdm.write(bad_images)
        return evaluation

    return run


def build_validations(
    config: Config,
    network: nn.Cell,
    average: nn.Cell | None,
    runtime: Runtime,
    stop_requested: Callable[[], bool],
) -> tuple[Validation, Validation]:
    """What scores the network, and what its moving average, while it trains; None for what does not."""
    if not config.validation.val_while_train:
        return None, None
    data = build_validation_data(config, runtime)
    validate = build_evaluation(config, network, data, runtime, stop_requested)
    if average is None:
        return validate, None
    return validate, build_evaluation(config, average, data, runtime, stop_requested)


def build_checkpoints(
    config: Config,
    network: nn.Cell,
    state: Mapping[str, Parameter | Tensor],
    classes: Sequence[str],
    runtime: Runtime,
) -> CheckpointManager | None:
    """What saves the state of a training; one rank does."""
    if not runtime.is_main:
        return None
    return CheckpointManager(
        name=config.model.model_name,
        tensors=state,
        metadata={"config": config.options(), "classes": list(classes), **evaluation_options(network)},
        **vars(config.checkpoint),
    )


def build_history(config: Config, runtime: Runtime) -> History | None:
    """What records the epochs; one rank does."""
    return History(config.checkpoint.folder) if runtime.is_main else None


def build_saving(config: Config, runtime: Runtime, stop_requested: Callable[[], bool]) -> Saving:
    """When the state is saved within an epoch."""
    recovery = config.recovery
    # A look makes the ranks wait for each other: on a CPU that costs nothing beside a step.
    alone = runtime.world_size == 1 or runtime.device == "CPU"
    return Saving(
        every_updates=recovery.ckpt_save_steps,
        every_seconds=60 * recovery.ckpt_save_minutes,
        stop_requested=stop_requested,
        combine=runtime.sum_over_ranks,
        look_every=1 if alone else math.gcd(config.system.log_interval, recovery.ckpt_save_steps),
    )
