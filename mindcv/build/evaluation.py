"""Evaluations, and the checkpoints of a run."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mindspore import Parameter, Tensor, nn
from tqdm import tqdm

from mindcv.build.class_names import match_labels, relabelled
from mindcv.build.networks import normalized
from mindcv.build.pipelines import build_validation_data, evaluation_batches
from mindcv.config import Config
from mindcv.data import Pipeline
from mindcv.engine import CheckpointManager, Evaluation, PredictionRecorder, evaluate
from mindcv.loss import create_loss
from mindcv.models.registry import find_model
from mindcv.models.weights.network_loading import evaluation_options
from mindcv.runtime.progress import track
from mindcv.runtime.session import Runtime
from mindcv.step import EvalStep

__all__ = [
    "best_checkpoint",
    "build_checkpoints",
    "build_evaluation",
    "build_validations",
]

Validation = Callable[[], Evaluation | None] | None


def build_evaluation(
    config: Config,
    network: nn.Cell,
    data: Pipeline,
    runtime: Runtime,
    stop_requested: Callable[[], bool] = lambda: False,
    classes: Sequence[str] = (),
    recorder: PredictionRecorder | None = None,
) -> Callable[[], Evaluation | None]:
    """Return a function that scores the network as it then is, and names images that cannot be read.

    Its loss has no label smoothing. Where it is asked to stop, it returns None.

    Args:
        config: Options.
        network: The unwrapped network, or its EMA model.
        data: The validation images.
        runtime: This process.
        stop_requested: Whether this process was asked to stop.
        classes: Class names of the network, in the order of its logits; by default the images'.
        recorder: Keeps the predictions of each call.

    Raises:
        UserError: If the network does not know a class of the images.
    """
    known = classes or data.source.classes
    labels = match_labels(data.source, known, config.model.checkpoint_path or config.model.model_name)
    step = EvalStep(
        normalized(config, network),
        create_loss(config.loss.name, reduction="none"),
        with_logits=recorder is not None,
    )
    steps = data.steps_per_epoch

    def run() -> Evaluation | None:
        if recorder is not None:
            recorder.begin()
        evaluation = evaluate(
            step,
            relabelled(track(evaluation_batches(data), steps, "validation", speaks=runtime.is_main), labels),
            data.batch_size,
            combine=runtime.sum_over_ranks,
            stop_requested=stop_requested,
            observe=None if recorder is None else recorder.add,
        )
        if bad_images := data.bad_images():
            tqdm.write(bad_images)
        return evaluation

    return run


def build_validations(
    config: Config,
    network: nn.Cell,
    ema_model: nn.Cell | None,
    runtime: Runtime,
    stop_requested: Callable[[], bool],
    data: Pipeline | None = None,
    recorder: PredictionRecorder | None = None,
) -> tuple[Validation, Validation]:
    """Return functions that score the network and its EMA model while it trains.

    Each is None where there is nothing to score: see `build_evaluation`.

    Args:
        config: Options.
        network: The unwrapped network.
        ema_model: Its EMA model, if there is one.
        runtime: This process.
        stop_requested: Whether this process was asked to stop.
        data: The validation images; by default those of the options.
        recorder: Keeps the predictions of the EMA model, or of the network if there is none.
    """
    if not config.validation.val_while_train:
        return None, None
    data = build_validation_data(config, runtime) if data is None else data
    if ema_model is None:
        return build_evaluation(config, network, data, runtime, stop_requested, recorder=recorder), None
    validate_ema = build_evaluation(config, ema_model, data, runtime, stop_requested, recorder=recorder)
    return build_evaluation(config, network, data, runtime, stop_requested), validate_ema


def best_checkpoint(config: Config) -> Path:
    """Return the file of the best epoch, which exists once an epoch was validated."""
    return Path(config.checkpoint.folder) / f"{find_model(config.model.model_name).name}_best.ckpt"


def build_checkpoints(
    config: Config,
    network: nn.Cell,
    state: Mapping[str, Parameter | Tensor],
    classes: Sequence[str],
    runtime: Runtime,
    workers: Sequence[int] = (),
) -> CheckpointManager | None:
    """Return the writer of a run's checkpoints; None on all ranks but the first.

    Args:
        config: Options.
        network: The network, whose own options are stored.
        state: What to save, see `training_state`.
        classes: Class names.
        runtime: This process.
        workers: Data workers of each rank, for a run that is resumed: see `with_resumed_workers`.
    """
    if not runtime.is_main:
        return None
    saving = config.checkpoint
    model = find_model(config.model.model_name)
    return CheckpointManager(
        name=model.name,
        aliases=model.aliases,
        tensors=state,
        metadata={
            "config": config.options(),
            "classes": list(classes),
            "workers": list(workers),
            **evaluation_options(network),
        },
        folder=saving.folder,
        interval=saving.interval,
        policy=saving.policy or "latest_k",
        keep=sys.maxsize if saving.policy is None else saving.keep,
    )
