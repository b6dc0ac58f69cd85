"""Checks of a device: the same computations as on a CPU, compared with numbers that a CPU has stored."""

from mindcv.device_check.report import describe, summary_line, write_report
from mindcv.device_check.run_checks import CHECKS, MODES, CheckResult, run_checks
from mindcv.device_check.setting import Setting

__all__ = [
    "CHECKS",
    "MODES",
    "CheckResult",
    "Setting",
    "describe",
    "run_checks",
    "summary_line",
    "write_report",
]
