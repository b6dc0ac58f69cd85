"""Benchmark results of networks with their environment, written as Markdown, CSV and JSON."""

import csv
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mindcv.errors import UserError
from mindcv.runtime.machine import processor_name, usable_cores

__all__ = ["MODES", "Environment", "Measurement", "ModelResult", "describe_machine", "write_results"]

MODES = {"graph": 0, "pynative": 1}
TITLES = {"graph": "graph", "pynative": "PyNative"}
NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Times of one network in one mode, each the median of several.

    Args:
        train_seconds: Of a training step with a full batch.
        infer_seconds_1: Of an inference with one image.
        infer_seconds_batch: Of an inference with a full batch.
        first_step_seconds: Of the first training step, which in graph mode compiles.
    """

    train_seconds: float
    infer_seconds_1: float
    infer_seconds_batch: float
    first_step_seconds: float


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The environment that a table's figures were measured in.

    Args:
        device: CPU, GPU or Ascend, one of them.
        batch_size: Images in a training step and in the larger inference.
        image_size: Height and width of the images.
        precision: Number type, and the amp_level where it is half precision.
        images: Images of an epoch.
        repeats: Times that each figure is the median of.
        machine: The processor's name.
        cores: Its cores that the process may use.
        mindspore: Version of MindSpore.
        python: Version of Python.
        date: Day of the measurement, such as 2026-01-31.
    """

    device: str
    batch_size: int
    image_size: int
    precision: str
    images: int
    repeats: int
    machine: str
    cores: int
    mindspore: str
    python: str
    date: str

    def __str__(self) -> str:
        return (
            f"One {self.device}, {self.machine} ({self.cores} cores), {self.image_size} px, batch "
            f"{self.batch_size}, {self.precision}, MindSpore {self.mindspore}, Python {self.python}, "
            f"{self.date}; medians of {self.repeats}. Training on synthetic images that are in memory; the "
            f"time of an epoch of {self.images:,} images follows from images/s."
        )


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """One row of the table.

    Args:
        model: Name of the network.
        parameters: Trainable parameters.
        macs: MACs for one image.
        modes: Measurements by mode.
    """

    model: str
    parameters: int
    macs: int
    modes: dict[str, Measurement] = field(default_factory=dict)

    def figures(self, environment: Environment) -> dict[str, Any]:
        """Return the row's values by column; None if not measured."""
        row: dict[str, Any] = {"model": self.model, "parameters": self.parameters, "macs": self.macs}
        found = {mode: self.modes.get(mode) for mode in MODES}
        rates = {
            mode: None if times is None else environment.batch_size / times.train_seconds
            for mode, times in found.items()
        }
        row |= {f"train_images_per_second_{mode}": rate for mode, rate in rates.items()}
        row |= {
            f"seconds_per_epoch_{mode}": None if rate is None else environment.images / rate
            for mode, rate in rates.items()
        }
        for name, key in (("1", "infer_seconds_1"), ("batch", "infer_seconds_batch")):
            row |= {
                f"infer_ms_{name}_{mode}": None if times is None else 1000 * getattr(times, key)
                for mode, times in found.items()
            }
        return row


def describe_machine() -> dict[str, Any]:
    """Return the fields of `Environment` that describe this machine."""
    return {
        "machine": processor_name(),
        "cores": usable_cores(),
        "mindspore": version("mindspore"),
        "python": platform.python_version(),
    }


def write_results(folder: str | Path, results: Sequence[ModelResult], environment: Environment) -> list[Path]:
    """Write results.md, results.csv and results.json, in place of those that are there.

    Args:
        folder: Receives them; made if missing.
        results: The rows, at least one.
        environment: What they hold for; each file says it.

    Returns:
        The files.

    Raises:
        UserError: If they cannot be written.
    """
    folder = Path(folder)
    rows = [result.figures(environment) for result in results]
    facts = asdict(environment)
    record = {"environment": facts, "results": rows}
    paths = [folder / f"results.{suffix}" for suffix in ("md", "csv", "json")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(f"{environment}\n\n{markdown(rows, environment)}", encoding="utf-8")
        with paths[1].open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0], *facts], lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, **facts} for row in rows)
        paths[2].write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{folder}: results cannot be written ({error.strerror}): choose another folder"
        ) from None
    return paths


def markdown(rows: Sequence[dict[str, Any]], environment: Environment) -> str:
    """Return the table in Markdown, with graph mode before PyNative mode."""
    groups = (
        ("train images/s", "train_images_per_second", ".1f"),
        ("s/epoch", "seconds_per_epoch", ",.0f"),
        ("inference ms, batch 1", "infer_ms_1", ".1f"),
        (f"inference ms, batch {environment.batch_size}", "infer_ms_batch", ".0f"),
    )
    columns = [
        (f"{title}, {TITLES[mode]}", f"{key}_{mode}", form) for title, key, form in groups for mode in MODES
    ]
    titles = ["model", "parameters (M)", "MACs (M)", *(title for title, _, _ in columns)]
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)]]
    for row in rows:
        counts = [f"{row['parameters'] / 1e6:.2f}", f"{row['macs'] / 1e6:.1f}"]
        values = [(row[key], form) for _, key, form in columns]
        cells = [NOT_MEASURED if value is None else format(value, form) for value, form in values]
        lines.append([f"`{row['model']}`", *counts, *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
