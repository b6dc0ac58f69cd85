"""The reports of a run and of a validation: what they show, collected from the objects of the run."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from mindcv.build.pipelines import count_classes
from mindcv.config import SECTIONS, Config
from mindcv.config.option import options_of, title_of
from mindcv.data import Pipeline, Source
from mindcv.engine import EpochResult, Evaluation, PredictionRecorder, Predictions, RunState
from mindcv.engine.callbacks import FinalReport, ReportedEpoch
from mindcv.engine.epoch_result import best_result
from mindcv.models.registry import find_model
from mindcv.report.analysis import confident_mistakes
from mindcv.report.comparison_page import duration
from mindcv.report.document import write_page
from mindcv.report.options_table import Option
from mindcv.report.run_page import TOP5_CLASSES, Mistake, RunPage, Scored, render_run
from mindcv.report.surroundings import describe_environment
from mindcv.report.thumbnails import thumbnail
from mindcv.runtime.session import Runtime
from mindcv.version import __version__

__all__ = ["REPORT", "build_final_report", "build_recorder", "write_validation_report"]

logger = logging.getLogger("mindcv.build")

REPORT = "report.html"
PICTURES = 24


def build_recorder(data: Pipeline) -> PredictionRecorder:
    """Return a recorder of the predictions for validation images."""
    return PredictionRecorder(data.planner.indices(0), len(data.source))


def build_final_report(
    config: Config,
    network: nn.Cell,
    data: Pipeline | None,
    recorder: PredictionRecorder | None,
    runtime: Runtime,
) -> FinalReport:
    """Return the callback that writes ``report.html`` when training ends.

    Args:
        config: Options.
        network: The unwrapped network.
        data: The validation images; None without a validation.
        recorder: Keeps their predictions, see `build_recorder`.
        runtime: This process.
    """
    path = Path(config.checkpoint.folder) / REPORT

    def write(run: RunState, epoch: ReportedEpoch | None) -> None:
        scored, remark = None, "No images were validated: validate.py --report scores a checkpoint."
        if data is not None and epoch is not None:
            deciding, remark = epoch.result.deciding, ""
            scored = _scored(
                epoch.predictions,
                data.source,
                _names(config, data.source.classes),
                loss=None if deciding is None else deciding.loss,
                weights=_weights(config, run, epoch.result),
            )
        page = RunPage(
            kind="Training report",
            title=_title(config),
            facts=_facts(run, network),
            columns=epoch_columns(run.results, top5=_tells_top5(config, data)),
            options=_options(config),
            environment=_environment(runtime),
            scored=scored,
            remark=remark,
        )
        write_page(path, render_run(page))

    return FinalReport(path, write, recorder, runtime.sum_over_ranks)


def write_validation_report(
    path: Path,
    config: Config,
    network: nn.Cell,
    classes: Sequence[str],
    data: Pipeline,
    evaluation: Evaluation,
    predictions: Predictions,
    runtime: Runtime,
) -> None:
    """Write the report of a validation.

    Args:
        path: The file to write; an existing one is replaced.
        config: Options.
        network: The unwrapped network.
        classes: Class names of the network, in the order of its logits.
        data: The images.
        evaluation: The scores.
        predictions: The predictions behind them.
        runtime: This process.

    Raises:
        UserError: If it cannot be written.
    """
    owner = config.model.checkpoint_path or "the published weights"
    page = RunPage(
        kind="Validation report",
        title=_title(config),
        facts={"Images": f"{evaluation.images:,}", "Parameters": _parameters(network)},
        options=_options(config),
        environment=_environment(runtime),
        scored=_scored(
            predictions, data.source, _names(config, classes), loss=evaluation.loss, weights=owner
        ),
    )
    write_page(path, render_run(page))


def epoch_columns(results: Sequence[EpochResult], *, top5: bool) -> dict[str, list[float | None]]:
    """Return the values per epoch that curves are drawn of, by the names of history.csv."""
    columns: dict[str, list[float | None]] = {
        "epoch": [r.epoch for r in results],
        "lr": [r.lr for r in results],
        "train_loss": [r.train_loss for r in results],
        "images_per_second": [r.images_per_second for r in results],
    }
    for prefix, validations in (
        ("", [r.validation for r in results]),
        ("ema_", [r.ema_validation for r in results]),
    ):
        columns[f"{prefix}val_loss"] = [None if v is None else v.loss for v in validations]
        columns[f"{prefix}top1"] = [None if v is None else v.top1_accuracy for v in validations]
        if top5:
            columns[f"{prefix}top5"] = [None if v is None else v.top5_accuracy for v in validations]
    return columns


def _tells_top5(config: Config, data: Pipeline | None) -> bool:
    return data is None or count_classes(config, data.source.classes) > TOP5_CLASSES


def _title(config: Config) -> str:
    return f"{find_model(config.model.model_name).name} on {config.dataset.name}"


def _names(config: Config, classes: Sequence[str]) -> list[str]:
    """A name for each logit, also for those without images."""
    return [*classes, *(f"output {k}" for k in range(len(classes), count_classes(config, classes)))]


def _weights(config: Config, run: RunState, reported: EpochResult) -> str:
    model = "the EMA model" if reported.ema_validation is not None else "the network"
    best = best_result(run.results)
    name = f"{model} after epoch {reported.epoch} of {run.epochs}"
    if best is None or best.epoch == reported.epoch:
        return f"{name}, the best ({find_model(config.model.model_name).name}_best.ckpt)"
    return f"{name}, the best since the run was resumed; epoch {best.epoch} was better"


def _facts(run: RunState, network: nn.Cell) -> dict[str, str]:
    best, seconds = best_result(run.results), sum(r.train_seconds + r.val_seconds for r in run.results)
    facts = {} if best is None else {"Best epoch": f"{best.epoch} of {len(run.results)}"}
    return {**facts, "Time": duration(seconds), "Parameters": _parameters(network)}


def _parameters(network: nn.Cell) -> str:
    return f"{sum(p.size for p in network.trainable_params()):,}"


def _options(config: Config) -> list[Option]:
    return [
        Option(
            name=option.name,
            value=getattr(getattr(config, name), option.field),
            default=option.default,
            group=title_of(section),
        )
        for name, section in SECTIONS.items()
        for option in options_of(section)
    ]


def _environment(runtime: Runtime) -> dict[str, str]:
    return describe_environment(device=runtime.device, world_size=runtime.world_size, own_version=__version__)


def _scored(
    predictions: Predictions, source: Source, classes: Sequence[str], *, loss: float | None, weights: str
) -> Scored:
    labels, predicted, confidences = predictions.labels, predictions.predicted, predictions.confidences
    places = confident_mistakes(labels, predicted, confidences, PICTURES)
    indices = predictions.indices[places]
    pictures = _pictures(source, indices)
    mistakes = [
        Mistake(
            label=int(labels[place]),
            predicted=int(predicted[place]),
            confidence=float(confidences[place]),
            name=source.sample_name(int(index)),
            picture=pictures.get(int(index), ""),
        )
        for place, index in zip(places, indices, strict=True)
    ]
    return Scored(
        classes=classes,
        labels=labels,
        predicted=predicted,
        confidences=confidences,
        in_top5=predictions.in_top5,
        loss=loss,
        weights=weights,
        images=source.origin,
        mistakes=mistakes,
    )


def _pictures(source: Source, indices: NDArray[np.int64]) -> dict[int, str]:
    """Small pictures of samples by their indices; without those that cannot be read by now."""
    order = np.sort(indices)
    found: dict[int, str] = {}
    if not len(order):
        return found
    rows = source.dataset(order).create_tuple_iterator(num_epochs=1, output_numpy=True)
    try:
        for index, (image, _) in zip(order, rows, strict=False):
            found[int(index)] = thumbnail(image)
    except RuntimeError:  # an image has gone since it was scored
        logger.debug("%s: pictures of mistakes cannot be read", source.origin)
    return found
