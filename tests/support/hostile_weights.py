"""A process that reads damaged files of weights as the project does, and compares them with other readers."""

import io
import json
import random
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors

from mindcv.errors import UserError
from mindcv.models.weights.weight_files import read_weights
from tests.support.crafted_weights import KINDS, intact, mutated
from tests.support.hostile_images import resident
from tests.support.peers import torch

GIGABYTE = 1 << 30
SIZES = {"8": "1", "16": "2", "32": "4", "64": "8"}
# Types by their names in MindSpore's checkpoints and in safetensors; a bfloat16 as its bits.
NUMPY_TYPES = {"Bool": "?", "BOOL": "?", "BFloat16": "<u2", "BF16": "<u2"}
for _bits, _size in SIZES.items():
    for _name in ("Int", "UInt", "Float", "I", "U", "F"):
        NUMPY_TYPES[f"{_name}{_bits}"] = f"<{_name[0].lower()}{_size}"


def as_read(tensors: dict[str, np.ndarray]) -> dict[str, tuple]:
    """Return names, types, shapes and bytes of tensors, with floats as float32."""
    found = {}
    for name, value in tensors.items():
        if value.dtype.kind == "f":
            value = value.astype(np.float32)
        found[name] = (value.dtype.name, value.shape, value.tobytes())
    return found


def elsewhere(kind: str, content: bytes) -> dict[str, np.ndarray] | None:
    """Return the tensors as another reader finds them; None if it refuses the file."""
    try:
        if kind.endswith("ckpt"):
            return by_protobuf(content)
        if kind.endswith("safetensors"):
            return by_safetensors(content)
        state = torch.load(io.BytesIO(content), weights_only=True)
        state = state.get("state_dict", state)
        # NumPy would give half a NaN another payload than PyTorch does.
        return {
            name: (t.float() if t.is_floating_point() else t).detach().numpy() for name, t in state.items()
        }
    except Exception:  # a damaged file can raise any error
        return None


def by_protobuf(content: bytes) -> dict[str, np.ndarray]:
    from mindspore.train.checkpoint_pb2 import Checkpoint

    pieces: dict[str, list] = {}
    for value in Checkpoint.FromString(content).value:
        tensor = value.tensor
        pieces.setdefault(value.tag, [tensor, []])[1].append(tensor.tensor_content)
    found = {}
    for name, (tensor, contents) in pieces.items():
        if tensor.tensor_type != "str":
            data = np.frombuffer(b"".join(contents), NUMPY_TYPES[tensor.tensor_type])
            dims = () if list(tensor.dims) == [0] and data.size else tuple(tensor.dims)
            found[name] = widened(data, tensor.tensor_type == "BFloat16").reshape(dims)
    return found


def by_safetensors(content: bytes) -> dict[str, np.ndarray]:
    found = {}
    for name, tensor in safetensors.deserialize(content):
        data = np.frombuffer(tensor["data"], NUMPY_TYPES[tensor["dtype"]])
        found[name] = widened(data, tensor["dtype"] == "BF16").reshape(tensor["shape"])
    return found


def widened(data: np.ndarray, is_bfloat16: bool) -> np.ndarray:
    return (data.astype(np.uint32) << 16).view(np.float32) if is_bfloat16 else data


def outcome(kind: str, path: Path, content: bytes, whole: dict[str, tuple]) -> str:
    """Read a file and say what came of it."""
    path.write_bytes(content)
    try:
        found = as_read(read_weights(path).tensors)
    except UserError as error:
        text = str(error)
        is_fine = text.startswith(f"{path}: ") and text.isprintable() and len(text) < 500
        return f"refused: {text}" if is_fine else f"unclear: {text}"
    except BaseException:
        return f"traceback: {traceback.format_exc()}"
    if found == whole:
        return "equal"
    expected = elsewhere(kind, content)
    if expected is None:
        return "invented: no other reader accepts it"
    return "other: as another reader has it" if found == as_read(expected) else f"wrong: {path}"


def cases(kind: str, content: bytes, count: int, seed: int, step: int) -> Iterator[tuple[str, bytes]]:
    """Yield damaged files of a kind; of one with a checksum, also with each bit in `step` flipped."""
    rng = random.Random(f"{kind} {seed}")
    for number in range(count):
        yield f"{kind}, seed {seed}, {number}", mutated(kind, content, rng)
    for bit in range(seed % step, 8 * len(content), step) if kind.startswith("own") else ():
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        yield f"{kind}, bit {bit} flipped", bytes(changed)


def main(count: int, seed: int, step: int) -> None:
    """Print two lines of JSON for each file: its name; and its outcome, time (s) and memory (MB).

    Args:
        count: Number of files of each kind.
        seed: Seed of their damage.
        step: See `cases`.
    """
    warnings.simplefilter("ignore")
    for kind in KINDS:
        content = intact(kind, Path())
        path = Path(f"a.{kind.partition('.')[2]}")
        path.write_bytes(content)
        whole = as_read(read_weights(path).tensors)
        limit = resident("VmSize") * (1 << 20) + GIGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        for name, changed in cases(kind, content, count, seed, step):
            print(json.dumps({"name": name}), flush=True)
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            before, began = resident("VmRSS"), time.process_time()
            found = "same bytes" if changed == content else outcome(kind, path, changed, whole)
            seconds, peak = time.process_time() - began, resident("VmHWM") - before
            print(json.dumps({"outcome": found, "seconds": seconds, "megabytes": peak}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
