"""The report of a device's checks, as Markdown for people and JSON for programs."""

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mindspore as ms

from mindcv.device_check.run_checks import CheckResult
from mindcv.errors import UserError
from mindcv.runtime.machine import processor_name, usable_cores
from mindcv.runtime.session import Runtime
from mindcv.version import __version__

__all__ = ["describe", "summary_line", "write_report"]


def describe(runtime: Runtime) -> dict[str, str]:
    """Return what the checks ran on: versions, device and machine."""
    return {
        "device": runtime.device,
        "device name": str(ms.hal.get_device_name(0)),
        "processes": str(runtime.world_size),
        "mindcv": __version__,
        **{package: version(package) for package in ("mindspore", "numpy")},
        "Python": platform.python_version(),
        "system": platform.platform(),
        "processor": f"{processor_name()} ({usable_cores()} cores)",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def summary_line(result: CheckResult) -> str:
    """Return one line about a check, for the terminal."""
    verdict = "passed" if result.passed else "FAILED"
    if not result.findings and not result.error:
        verdict = "does not apply"
    return f"{result.name}, {result.mode}: {verdict} ({result.seconds:.1f} s)"


def write_report(folder: Path, facts: Mapping[str, str], results: Sequence[CheckResult]) -> list[Path]:
    """Write report.md and report.json, in place of those that are there.

    Args:
        folder: Receives them; made if missing.
        facts: What the checks ran on, see `describe`.
        results: The results.

    Returns:
        The files.

    Raises:
        UserError: If they cannot be written.
    """
    paths = [folder / "report.md", folder / "report.json"]
    record = {"environment": dict(facts), "checks": [_record(result) for result in results]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(_markdown(facts, results), encoding="utf-8")
        paths[1].write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{folder}: the report cannot be written ({error.strerror}): choose another folder with --output"
        ) from None
    return paths


def _record(result: CheckResult) -> dict[str, Any]:
    findings = [{**vars(finding), "passed": finding.passed} for finding in result.findings]
    return {**vars(result), "findings": findings, "passed": result.passed}


def _markdown(facts: Mapping[str, str], results: Sequence[CheckResult]) -> str:
    failed = sum(not result.passed for result in results)
    lines = [
        "# Check of a device",
        "",
        f"{failed} of {len(results)} checks failed." if failed else f"All {len(results)} checks passed.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        "",
        "| check | mode | compared | expected | got | difference | tolerance | result | s |",
        "|---|---|---|---|---|---:|---:|---|---:|",
    ]
    for result in results:
        lines += _rows(result)
    for result in results:
        if result.error:
            lines += ["", f"## {result.name}, {result.mode}", "", "```", result.error.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _rows(result: CheckResult) -> list[str]:
    start, end = f"| {result.name} | {result.mode} |", f"{result.seconds:.1f} |"
    if result.error:
        last = result.error.strip().splitlines()[-1].replace("|", "/")
        return [f"{start} {last} | | | | | FAILED | {end}"]
    if not result.findings:
        return [f"{start} does not apply here | | | | | | {end}"]
    return [
        f"{start} {finding.what} | {finding.expected} | {finding.got} | {finding.difference:.2g} | "
        f"{finding.tolerance:.2g} | {'passed' if finding.passed else 'FAILED'} | {end}"
        for finding in result.findings
    ]
