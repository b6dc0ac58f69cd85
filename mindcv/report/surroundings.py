"""The surroundings of a run: versions, machine, device, and the state of the code."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mindcv.runtime.machine import processor_name, usable_cores

__all__ = ["describe_environment"]

PACKAGES = ("mindspore", "numpy", "pillow")
CODE = Path(__file__).parents[2]
SECONDS = 2  # for git, on a slow disk


def describe_environment(*, device: str, world_size: int, own_version: str) -> dict[str, str]:
    """Return names and values that describe this process, its machine and its code.

    Args:
        device: CPU, GPU or Ascend.
        world_size: Number of processes that work together.
        own_version: Version of this package.
    """
    facts = {
        "device": f"{world_size} x {device}" if world_size > 1 else device,
        "processor": processor_name(),
        "cores": str(usable_cores()),
        "system": platform.platform(),
        "Python": platform.python_version(),
        "mindcv": own_version,
    }
    facts |= {name: found for name in PACKAGES if (found := _version(name))}
    if state := git_state(CODE):
        facts["code"] = state
    return facts


def git_state(folder: Path) -> str:
    """Return commit and branch of a git working tree, and whether it differs; empty if it is none."""
    if not (folder / ".git").exists():
        return ""
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return ""
    branch = _git(folder, "rev-parse", "--abbrev-ref", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"commit {commit} on {branch}" + (" with uncommitted changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    # No lock, and no program that the repository's own settings name, such as a file-system monitor.
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
