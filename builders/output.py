"""What a run finds out and leaves behind: evaluations, checkpoints and history."""

from collections.abc import Callable, Sequence

from mindspore import nn
from tqdm import tqdm

from builders.data import build_validation_data
from builders.network import normalized
from config import Config
from mindcv.data import Pipeline
from mindcv.engine import (
    CheckpointManager,
    EvalStep,
    Evaluation,
    History,
    TrainStep,
    evaluate,
    training_state,
)
from mindcv.loss import create_loss
from mindcv.runtime.session import Runtime

__all__ = ["build_checkpoints", "build_evaluation", "build_history", "build_validations"]


def build_evaluation(
    config: Config, network: nn.Cell, data: Pipeline, runtime: Runtime
) -> Callable[[], Evaluation]:
    """A function that scores the network as it then is, and names images that cannot be read.

    Its loss knows no label smoothing.
    """
    step = EvalStep(normalized(config, network), create_loss(config.loss.loss, reduction="none"))

    def run() -> Evaluation:
        batches = data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True)
        try:
            evaluation = evaluate(step, batches, data.batch_size, combine=runtime.sum_over_ranks)
        except RuntimeError as error:
            raise data.explain(error) from error
        bad_images = data.bad_images()
        if bad_images and runtime.is_main:
            tqdm.write(bad_images)
        return evaluation

    return run


def build_validations(
    config: Config, network: nn.Cell, average: nn.Cell | None, runtime: Runtime
) -> tuple[Callable[[], Evaluation] | None, Callable[[], Evaluation] | None]:
    """What scores the network, and what its moving average, while it trains; None for what does not."""
    if not config.validation.val_while_train:
        return None, None
    data = build_validation_data(config, runtime)
    validate = build_evaluation(config, network, data, runtime)
    return validate, None if average is None else build_evaluation(config, average, data, runtime)


def build_checkpoints(
    config: Config, network: nn.Cell, step: TrainStep, classes: Sequence[str], runtime: Runtime
) -> CheckpointManager | None:
    """What saves the network and the state of its training; one rank does."""
    if not runtime.is_main:
        return None
    checkpoint = config.checkpoint
    return CheckpointManager(
        checkpoint.ckpt_save_dir,
        config.model.model,
        training_state(network, step),
        {"config": config.options(), "classes": list(classes)},
        interval=checkpoint.ckpt_save_interval,
        policy=checkpoint.ckpt_save_policy,
        keep=checkpoint.keep_checkpoint_max,
    )


def build_history(config: Config, runtime: Runtime) -> History | None:
    """What records the epochs; one rank does."""
    return History(config.checkpoint.ckpt_save_dir) if runtime.is_main else None
