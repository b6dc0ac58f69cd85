"""PyTorch weight files, which are pickles: read by PyTorch's weights-only loader, or refused.

That loader builds tensors, containers and numbers, and runs no code from the file.
"""

import argparse
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mindcv.errors import UserError
from mindcv.files.file_content import read_content
from mindcv.files.protection import tell_unprotected
from mindcv.files.tensor_shapes import check_booleans
from mindcv.models.weights.torch_archives import ArchiveError, checked_archive

__all__ = ["TorchFile", "read_torch", "torch_bytes"]

# In older versions, a file could bypass the weights-only loader (CVE-2025-32434).
_SAFE_SINCE = (2, 6)

SHARED = 4  # the bytes of all tensors may be this many times those of the file

# Keys of the weights and of the EMA weights in the checkpoints of training scripts: timm's, torchvision's.
_WEIGHTS = ("state_dict", "model")
_EMA_KEYS = ("state_dict_ema", "model_ema")

# A state dict carries versions of modules by their path; no module has this path.
_OURS = "mindcv"


@dataclass(frozen=True, kw_only=True)
class TorchFile:
    """The content of a PyTorch file of weights.

    Args:
        weights: Arrays by name; half precision as float32, without loss.
        ema: Arrays of the EMA model; empty if the file has none.
        types: Names of the floating-point types in the file, such as ``bfloat16``.
        metadata: The metadata given to `torch_bytes`; ``"{}"`` for files from elsewhere.
    """

    weights: dict[str, np.ndarray]
    ema: dict[str, np.ndarray]
    types: set[str]
    metadata: str


def read_torch(path: Path) -> TorchFile:
    """Read a state dict, as such or inside the checkpoint of a training script of timm or torchvision.

    Args:
        path: The file.

    Raises:
        UserError: If torch is missing or too old, or the file is damaged, does not contain a state dict, or
            could run code.
    """
    content = read_content(path)
    torch = _torch(path)
    try:
        archive, has_checksums = checked_archive(content)
        if not has_checksums:
            tell_unprotected(path, "'mindcv convert' writes a file with one")
    except ArchiveError as error:
        raise _damaged(path, f" ({error})") from None
    try:
        return _weights_in(torch, path, _load(torch, path, archive), len(content))
    except UserError:
        raise
    except Exception:  # a pickle may give its objects any attributes
        raise _damaged(path) from None


def _weights_in(torch: ModuleType, path: Path, content: Any, size: int) -> TorchFile:
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: contains a {type(content).__name__} instead of a state dict: save a state_dict()"
        )
    weights = {key: content[key] for key in _WEIGHTS if isinstance(content.get(key), dict)}
    ema_states = {key: content[key] for key in _EMA_KEYS if isinstance(content.get(key), dict)}
    if len(weights) > 1 or len(ema_states) > 1:
        several = " and ".join(weights if len(weights) > 1 else ema_states)
        raise UserError(f"{path}: holds {several}, and it is ambiguous which to load: save only one of them")
    if not weights and not ema_states:
        weights = {"": content}
    state = next(iter(weights.values()), {})
    ema_state = next(iter(ema_states.values()), {})
    for tensors in (state, ema_state):
        _check_state(torch, path, tensors)
    _check_size(torch, path, [*state.values(), *ema_state.values()], size)
    floats = {t.dtype for t in (*state.values(), *ema_state.values()) if t.dtype.is_floating_point}
    return TorchFile(
        weights=_arrays(torch, path, state),
        ema=_arrays(torch, path, ema_state),
        types={str(dtype).removeprefix("torch.") for dtype in floats},
        metadata=_own_metadata(state),
    )


def _own_metadata(state: dict) -> str:
    """Return the text that `torch_bytes` has stored; other files keep versions of modules there."""
    found = getattr(state, "_metadata", None)
    ours = found.get(_OURS) if isinstance(found, dict) else None
    return ours.get("metadata", "{}") if isinstance(ours, dict) else "{}"


def torch_bytes(path: Path, tensors: Mapping[str, np.ndarray], metadata: str, *, version: int) -> bytes:
    """Return a state dict as `torch.save` writes it.

    Args:
        path: The file to be written, for messages.
        tensors: Arrays by name.
        metadata: A text to store with them; loading into a module ignores it.
        version: The module's version, see `mindcv.models.weights.layouts.WeightLayout`.
    """
    torch = _torch(path)
    state: Any = OrderedDict((name, torch.tensor(value)) for name, value in tensors.items())
    state._metadata = OrderedDict({"": {"version": version}, _OURS: {"metadata": metadata}})
    buffer = BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _torch(path: Path) -> ModuleType:
    pip = f"pip install 'torch>={_SAFE_SINCE[0]}.{_SAFE_SINCE[1]}', or take a .safetensors file"
    try:
        import torch
    except ImportError:
        raise UserError(f"{path}: a PyTorch file needs torch, which is not installed: {pip}") from None
    version = tuple(int(number) for number in re.findall(r"\d+", torch.__version__)[:2])
    if version < _SAFE_SINCE:
        raise UserError(
            f"{path}: torch {torch.__version__} can be made to run a file's code (CVE-2025-32434): {pip}"
        )
    return torch


def _load(torch: ModuleType, path: Path, content: bytes) -> Any:
    try:
        # timm keeps the options of a training, as a namespace of plain values.
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")
            return torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named is None:
            raise UserError(
                f"{path}: contains more than weights, or is damaged; not loaded, because it could run code: "
                "check the file"
            ) from None
        raise UserError(
            f"{path}: is not loaded, because it holds {named[1]} and could run code: "
            "save its state_dict() alone, or as .safetensors"
        ) from None
    except Exception:  # damaged bytes can raise any error
        raise _damaged(path) from None


def _damaged(path: Path, reason: str = "") -> UserError:
    return UserError(f"{path}: not a PyTorch file, or damaged{reason}: check the file")


def _check_state(torch: ModuleType, path: Path, state: Mapping[Any, Any]) -> None:
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            keys = ", ".join(str(key) for key in list(state)[:8])
            raise UserError(
                f"{path}: does not contain a state dict: '{name}' is not a tensor (its keys: {keys}): "
                "save a state_dict()"
            )


def _check_size(torch: ModuleType, path: Path, tensors: Sequence[Any], size: int) -> None:
    """Refuse views that repeat their elements: a few bytes can be described as a tensor of any size.

    Tensors may share their elements, as those of tied layers do.
    """
    total = sum(torch.Tensor.numel(tensor) * torch.Tensor.element_size(tensor) for tensor in tensors)
    if total > SHARED * size:
        raise UserError(
            f"{path}: its tensors have {total} bytes, and the file {size}: save copies (clone()), not views"
        )


def _arrays(torch: ModuleType, path: Path, state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    halves = (torch.float16, torch.bfloat16)
    arrays = {}
    for name, value in state.items():
        try:
            plain = value.detach().cpu()
            # NumPy lacks bfloat16; float32 represents all its values.
            arrays[name] = (plain.float() if plain.dtype in halves else plain).numpy()
        except (RuntimeError, TypeError, NotImplementedError):
            arrays[name] = None
        if arrays[name] is None or arrays[name].dtype.kind not in "fiub":
            raise UserError(f"{path}: '{name}' is not an ordinary tensor ({value.dtype}): save float32")
        if arrays[name].dtype == np.bool_:
            check_booleans([arrays[name].tobytes()])
    return arrays
