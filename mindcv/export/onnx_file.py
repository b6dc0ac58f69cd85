"""Write, check and run ONNX files."""

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mindspore import nn
from numpy.typing import NDArray

from mindcv.choices import OPSETS
from mindcv.errors import UserError
from mindcv.export.checked_output import finished_files
from mindcv.export.verify import ExportError, Reference
from mindcv.files.onnx_network import open_onnx

__all__ = ["METADATA", "OPSET", "OPSETS", "check_opset", "export_onnx", "require_onnx", "session_logits"]

METADATA = "mindcv"  # key of the file's properties
# Weights can be quantised per channel from 13 on; ONNX Runtime 1.19 and ONNX 1.16 support up to 21.
OPSET = 20


def require_onnx() -> None:
    """Check that the packages which write and check ONNX files are installed.

    Raises:
        UserError: If a package is missing.
    """
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"an ONNX file is written by onnx and checked by onnxruntime: pip install {' '.join(missing)}"
        )


def check_opset(opset: int) -> None:
    """Check that the graph can be written with a version of ONNX's operators.

    Raises:
        UserError: If it is not one of `OPSETS`.
    """
    if opset not in OPSETS:
        raise UserError(f"opset={opset} is not supported: give a number from {OPSETS[0]} to {OPSETS[-1]}")


def export_onnx(
    network: nn.Cell,
    path: str | Path,
    reference: Reference,
    *,
    metadata: Mapping[str, Any],
    opset: int = OPSET,
) -> float:
    """Write a network in evaluation as an ONNX file, if ONNX Runtime computes the same from it.

    Args:
        network: The unwrapped network, a `StagedNetwork`.
        path: File to write, ending in ``.onnx``.
        reference: Images, and the network's logits of them.
        metadata: Metadata to store in the file; must be JSON-serializable.
        opset: Version of ONNX's operators, one of `OPSETS`.

    Returns:
        The largest difference between the file's logits and the network's, see `Reference.check`.

    Raises:
        UserError: If a package is missing, the network cannot be expressed, or the file cannot be written.
        ExportError: If the file is not a valid ONNX model or its logits differ from the network's.
    """
    require_onnx()
    check_opset(opset)
    import onnx

    from mindcv.export.onnx_graph import onnx_model

    path = Path(path)
    model = onnx_model(network, reference.images, opset)
    onnx.helper.set_model_props(model, {METADATA: json.dumps(dict(metadata))})
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"{path}: the exported network is not a valid ONNX model ({error})") from None
    with finished_files(path) as (temporary,):
        temporary.write_bytes(model.SerializeToString())
        return reference.check(session_logits(open_onnx(temporary)), path)


def session_logits(session: Any) -> Callable[[NDArray], NDArray]:
    """Return a function that computes the logits of a batch of images, as the file takes them."""
    (name,) = (given.name for given in session.get_inputs())
    return lambda images: session.run(None, {name: images})[0]
