"""ONNX files, run by ONNX Runtime on the host's CPU."""

import os
from pathlib import Path
from typing import Any

from mindcv.errors import UserError

__all__ = ["onnx_reason", "open_onnx"]


def open_onnx(path: str | Path) -> Any:
    """Load an ONNX file.

    Args:
        path: The file.

    Returns:
        An ``onnxruntime.InferenceSession``, which gives the same input the same output to the last bit.

    Raises:
        UserError: If onnxruntime is not installed, or the file cannot be loaded.
    """
    path = Path(path)
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"{path}: an ONNX file needs a package: pip install onnxruntime") from None
    if not path.is_file():
        raise UserError(f"{path}: no such ONNX file: check the path")
    options = onnxruntime.SessionOptions()
    # Other ranks and the pipeline's workers need the same cores: a thread that waits must sleep, not spin.
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or _cores())
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what goes wrong is raised, too
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no other class in common
        raise UserError(f"{path}: cannot be loaded ({onnx_reason(error, path)}): check the file") from None


def onnx_reason(error: Exception, path: Path) -> str:
    """What ONNX Runtime says, without its code and the file's name in front."""
    text = str(error).split(" : ", 3)[-1].removeprefix(f"Load model from {path} failed:")
    return text.strip().rstrip(".")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
