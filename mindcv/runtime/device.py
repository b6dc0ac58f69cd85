"""Select the device to run on and the execution mode."""

import random
from typing import get_args

import mindspore as ms
from mindspore import hal

from mindcv.choices import Device
from mindcv.errors import UserError, did_you_mean
from mindcv.runtime.quiet import quiet_logging

__all__ = ["seed_everything", "select_device", "supports_sink"]

TARGETS: tuple[Device, ...] = get_args(Device)


def select_device(target: str, mode: int) -> str:
    """Make MindSpore use a device and a mode.

    Args:
        target: ``CPU``, ``GPU`` or ``Ascend``; ``auto`` takes Ascend where it is usable, else a GPU, else
            the CPU.
        mode: 0 for graph mode, 1 for PyNative mode.

    Returns:
        The device that is used.

    Raises:
        UserError: If there is no such device; if it, its driver or MindSpore's support for it is missing; or
            if MindSpore already runs on another one.
    """
    if target not in TARGETS:
        hint = did_you_mean(target.upper(), TARGETS)
        raise UserError(f"device_target={target!r} is unknown: give one of {', '.join(TARGETS)}{hint}")
    if target == "auto":
        target = next((name for name in ("Ascend", "GPU") if _usable(name)), "CPU")
    elif not _usable(target):
        raise UserError(
            f"device_target={target} cannot be used: the device, its driver or MindSpore's plugin for it is "
            "missing here; install them, or set device_target to CPU or auto"
        )
    ms.set_context(mode=mode)
    running = ms.get_context("device_target")
    try:
        ms.set_device(target)
    except RuntimeError:  # a notebook has run operators already, so that the device is fixed
        if running != target:
            raise UserError(
                f"device_target={target} comes too late: MindSpore already runs on {running}; restart it"
            ) from None
    return target


def supports_sink(device: str) -> bool:
    """Return whether a device can fetch its own data: MindSpore sinks data on accelerators only."""
    return device != "CPU"


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and MindSpore."""
    random.seed(seed)
    ms.set_seed(seed)  # NumPy's global generator included


def _usable(target: str) -> bool:
    """Return whether MindSpore supports a device, without the errors that it logs if not."""
    with quiet_logging():
        return hal.is_available(target)
