"""A comparison of libraries' speed with its environment, written as Markdown and JSON."""

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mindcv.errors import UserError
from mindcv.runtime.machine import processor_name, usable_cores

__all__ = ["Comparison", "Job", "describe_environment", "write_comparison"]

TITLES = {
    "graph": "graph",
    "pynative": "PyNative",
    "onnx": "ONNX Runtime",
    "torch": "PyTorch, NCHW",
    "torch_channels_last": "PyTorch, channels-last",
    "mindcv": "MindCV",
}
BASE = "graph"  # whose speed the ratios compare with the others'


@dataclass(frozen=True, kw_only=True)
class Job:
    """The task of a line of the table.

    Args:
        task: ``"train"`` or ``"infer"``.
        model: The network.
        size: Height and width of the images.
        batch: Images of a step.
    """

    task: str
    model: str
    size: int
    batch: int

    def __str__(self) -> str:
        return f"{self.task}, `{self.model}`, {self.size} px, batch {self.batch}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One line of the table.

    Args:
        line: The task.
        batch: Images of a step.
        rounds: Measurements that each figure is the median of.
        seconds: Of a step, by contestant.
    """

    line: str
    batch: int
    rounds: int
    seconds: dict[str, float]

    def cell(self, name: str) -> str:
        """Return images/s of a contestant, and how many times as fast graph mode is."""
        if name not in self.seconds:
            return "not measured" if name != "onnx" else ""
        rate = f"{self.batch / self.seconds[name]:,.1f}"
        ratio = self.seconds[name] / self.seconds[BASE]
        return rate if name == BASE else f"{rate} ({ratio:.2f}x)"


def describe_environment(day: str, other: str | None) -> str:
    """Return machine, versions and date in a sentence.

    Args:
        day: Such as 2026-01-31.
        other: The interpreter that has MindCV, if any.
    """
    found = {name: _version(name) for name in ("mindspore", "torch", "timm", "onnxruntime")}
    versions = [f"{name} {number}" for name, number in found.items() if number]
    if other:
        code = (
            "from importlib.metadata import version as v; "
            "print('MindCV', v('mindcv'), 'with mindspore', v('mindspore'))"
        )
        done = subprocess.run([other, "-c", code], capture_output=True, text=True)
        versions.append(done.stdout.strip())
    widest = "AVX-512" if _has_instruction("avx512f") else "AVX2" if _has_instruction("avx2") else "no AVX2"
    return (
        f"{usable_cores()} cores of {processor_name()}, {widest}; {', '.join(versions)}; "
        f"Python {platform.python_version()}; {day}"
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _has_instruction(flag: str) -> bool:
    try:
        return f" {flag} " in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def write_comparison(folder: str | Path, results: Sequence[Comparison], environment: str) -> list[Path]:
    """Write comparison.md and comparison.json, in place of those that are there.

    Args:
        folder: Receives them; made if missing.
        results: The lines.
        environment: What they hold for.

    Returns:
        The files.

    Raises:
        UserError: If they cannot be written.
    """
    folder = Path(folder)
    paths = [folder / f"comparison.{suffix}" for suffix in ("md", "json")]
    rows = [["images/s", *TITLES.values(), "rounds"], ["---", *["---:"] * (len(TITLES) + 1)]]
    rows += [[each.line, *map(each.cell, TITLES), str(each.rounds)] for each in results]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    record = {"environment": environment, "results": [asdict(each) for each in results]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(
            f"{environment}. Medians; in brackets, how many times as fast graph mode is.\n\n{table}", "utf-8"
        )
        paths[1].write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise UserError(
            f"{folder}: results cannot be written ({error.strerror}): choose another folder"
        ) from None
    return paths
