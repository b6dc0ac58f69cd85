"""Settings that MindSpore reads from the environment, once, when it runs its first operator.

Two of them decide the speed on CPU. A variable that the user has set is not changed, so
``ONEDNN_MAX_CPU_ISA=ALL`` or ``MS_DEV_HOST_BLOCKING_RUN=0`` in front of a command switches one off. A
notebook may import mindspore before mindcv, but if it has run an operator by then, they come too late.
"""

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mindcv.errors import ConfigError
from mindcv.runtime.launch import detect_launch

__all__ = ["prepare_environment"]


def prepare_environment() -> None:
    """Choose the fast CPU path, where it applies. Call it before MindSpore runs its first operator."""
    for name, value in cpu_settings().items():
        os.environ.setdefault(name, value)
    # MindSpore decodes PNG files with OpenCV, which would log damaged ones in addition to our own message.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")


def cpu_settings() -> dict[str, str]:
    """Return the environment variables that make MindSpore fast on this machine's CPU.

    Returns:
        Name and value of each, empty where an accelerator is present: there the host thread feeds the
        device, and blocking it would slow the device down.
    """
    if accelerator_present():
        return {}
    try:
        local_size = detect_launch().local_size
    except ConfigError:  # the program reports it, and never gets as far as an operator
        local_size = 1
    settings: dict[str, str] = {}
    if local_size > 1:
        # Each rank would start as many threads as there are cores, and they would slow each other down.
        cores = min((os.cpu_count() or 1) // local_size, len(os.sched_getaffinity(0)))
        settings["OMP_NUM_THREADS"] = str(max(1, cores))
    # Without it a host thread spins while it waits for the operators, and takes a core from them.
    settings["MS_DEV_HOST_BLOCKING_RUN"] = "1"
    if _onednn_falls_back():
        # oneDNN then picks its AVX2 kernels, which are many times faster than its reference loop.
        settings["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    return settings


def accelerator_present() -> bool:
    """Return whether the system has a device file of an Ascend or of an NVIDIA GPU."""
    return any(any(Path("/dev").glob(pattern)) for pattern in ("davinci[0-9]*", "nvidia[0-9]*"))


def _onednn_falls_back() -> bool:
    """Return whether MindSpore's oneDNN uses its slow reference loop: from 2.9 on, with AVX-512."""
    try:
        major, minor = (int(part) for part in version("mindspore").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return False
    return (major, minor) >= (2, 9) and _has_avx512()


def _has_avx512() -> bool:
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
