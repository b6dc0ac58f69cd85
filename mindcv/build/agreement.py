"""Compare between the ranks of a run what must be equal there, before anything depends on it."""

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import mindspore as ms
import numpy as np

from mindcv.config import Config
from mindcv.data import Source
from mindcv.runtime.agreement import Part
from mindcv.runtime.session import Runtime
from mindcv.version import __version__

__all__ = ["compare_images", "compare_options", "compare_weights"]

# Hosts may keep their files at different places; what is in the files is compared instead.
PLACES = ("data_dir", "ckpt_path", "teacher_ckpt_path", "resume", "ckpt_save_dir")
OWN = ("num_parallel_workers", "device_target")  # `auto` may be written out on one host
PACKAGES = ("mindspore", "numpy", "pillow")
SHOWN = 8  # digits of a checksum


def compare_options(config: Config, runtime: Runtime) -> None:
    """Check that all ranks run the same program with the same options on the same kind of device.

    Raises:
        UserError: If they do not; the message names the rank and the first difference.
    """
    if runtime.world_size == 1:
        return
    programs = [f"mindcv {__version__}", f"Python {'.'.join(platform.python_version_tuple()[:2])}"]
    programs += [f"{name} {version(name)}" for name in PACKAGES]
    options = [_option(name, value) for name, value in config.options().items() if name not in OWN]
    if config.teacher.is_onnx and Path(config.teacher.model_name).is_file():
        options.append(f"teacher with checksum {_checksum(Path(config.teacher.model_name).read_bytes())}")
    runtime.compare_ranks(
        Part(
            items=programs,
            noun="versions",
            remedy="install the same versions on all hosts",
            form="values",
        ),
        Part(
            items=[*options, f"device {runtime.device}"],
            noun="options",
            remedy="start all ranks with the same options",
            form="values",
        ),
    )


def _option(name: str, value: object) -> str:
    if name in PLACES:
        return f"{name} {'is given' if value else 'is not given'}"
    if name == "teacher" and str(value).endswith(".onnx"):
        return f"{name}={Path(str(value)).name}"
    return f"{name}={value}"


def compare_images(source: Source, split: str, runtime: Runtime) -> None:
    """Check that all ranks have the same classes, and the same images in the same order.

    The sizes of files are compared, not their bytes.

    Raises:
        UserError: If they do not; the message names the rank and the first difference.
    """
    if runtime.world_size == 1:
        return
    place, remedy = f"in {split or 'data_dir'}", "give all hosts the same dataset"
    names, sizes = source.contents()
    runtime.compare_ranks(
        Part(items=source.classes, noun=f"classes {place}", remedy=remedy, form="names"),
        Part(items=names, noun=f"image files {place}", remedy=remedy, form="names"),
        Part(items=sizes, noun=f"sizes {place}", remedy=remedy, form="values"),
    )


def compare_weights(parameters: Iterable[ms.Parameter | ms.Tensor], what: str, runtime: Runtime) -> None:
    """Check that all ranks have the same values to the bit.

    Args:
        parameters: The values; on all ranks as many, in the same order.
        what: Where they come from, for the message.
        runtime: This process.

    Raises:
        UserError: If they do not; the message names the rank and the first parameter that differs.
    """
    if runtime.world_size == 1:
        return
    items = [f"{what}: {value.name} with checksum {_checksum(_content(value))}" for value in parameters]
    remedy = "give all hosts the same files"
    runtime.compare_ranks(Part(items=items, noun="weights", remedy=remedy, form="values"))


def _content(value: ms.Parameter | ms.Tensor) -> bytes:
    if value.dtype == ms.bfloat16:
        value = value.astype(ms.float32)
    return np.ascontiguousarray(value.asnumpy()).tobytes()


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:SHOWN]
