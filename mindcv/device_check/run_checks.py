"""Run the checks, each in graph and in PyNative mode, and keep going where one fails."""

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import mindspore as ms

from mindcv.device_check import network_checks, operator_checks
from mindcv.device_check.digits_check import digits
from mindcv.device_check.finding import Finding
from mindcv.device_check.setting import Setting

__all__ = ["CHECKS", "CheckResult", "run_checks"]

MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}
CHECKS: dict[str, Callable[[Setting], list[Finding]]] = {
    "dropout": operator_checks.dropout,
    "optimizers": operator_checks.optimizers,
    "collectives": operator_checks.collectives,
    "forward": network_checks.forward,
    "backward": network_checks.backward,
    "evaluation": network_checks.evaluation,
    "mixed_precision": network_checks.mixed_precision,
    "loss_scale": network_checks.loss_scale,
    "ema": network_checks.ema,
    "export": network_checks.export,
    "digits": digits,
}
ONCE = ("digits",)  # in graph mode only


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The result of one check in one mode.

    Args:
        name: Name of the check.
        mode: ``graph`` or ``pynative``.
        findings: Its comparisons; none where it does not apply.
        seconds: Time that it took, compilation included.
        error: Traceback of an exception that ended it; empty if there was none.
    """

    name: str
    mode: str
    findings: list[Finding]
    seconds: float
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether it ran to its end and all comparisons passed."""
        return not self.error and all(finding.passed for finding in self.findings)


def run_checks(setting: Setting, names: Iterable[str], modes: Iterable[str]) -> Iterator[CheckResult]:
    """Run checks in the order of `CHECKS`, each in all modes.

    Args:
        setting: Device, numbers and folder.
        names: Names of the checks.
        modes: ``graph``, ``pynative`` or both.

    Yields:
        The result of each check in each mode. An exception in a check is part of its result: a device that
        lacks one operator can still be checked for all others.
    """
    chosen, modes = set(names), list(modes)
    for name, check in CHECKS.items():
        for mode in modes if name not in ONCE else modes[:1]:
            if name in chosen:
                ms.set_context(mode=MODES[mode])
                yield _run(setting, name, mode, check)


def _run(setting: Setting, name: str, mode: str, check: Callable[[Setting], list[Finding]]) -> CheckResult:
    started = time.monotonic()
    findings: list[Finding] = []
    error = ""
    try:
        findings = check(setting)
    except Exception:
        error = traceback.format_exc()
    return CheckResult(
        name=name, mode=mode, findings=findings, seconds=time.monotonic() - started, error=error
    )
