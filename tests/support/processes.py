"""Processes that inherit neither a launcher's variables nor the settings for MindSpore."""

import os
import subprocess
import sys

from tests.support.paths import ROOT

__all__ = ["LAUNCHERS", "OPEN_MPI", "SETTINGS", "bare_environment", "python"]

SETTINGS = ("MS_DEV_HOST_BLOCKING_RUN", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS")
LAUNCHERS = ("OMPI_", "PMI", "MPI_", "MS_", "RANK_")
OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}


def python(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process that inherits neither a launcher's variables nor the settings."""
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=bare_environment() | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def bare_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in SETTINGS and not k.startswith(LAUNCHERS)}
