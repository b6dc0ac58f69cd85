"""Add a checksum to files of weights from elsewhere."""

import shutil
from pathlib import Path

from mindcv.errors import UserError
from mindcv.files.atomic import write_atomically
from mindcv.files.checkpoint_checksum import open_checkpoint, with_checksum_record
from mindcv.files.file_content import read_content
from mindcv.files.mindspore_records import without_crc
from mindcv.files.protection import states_checksum
from mindcv.files.safetensors_file import parse_safetensors, with_checksum

__all__ = ["add_checksum"]


def add_checksum(path: str | Path) -> str:
    """Add a checksum to a file, atomically; its tensors and metadata stay as they are, byte by byte.

    MindSpore and the safetensors library read the file as before.

    Args:
        path: A MindSpore checkpoint (``.ckpt``) or a safetensors file.

    Returns:
        A line about what was done: a file that has a checksum, inside or in its name, is verified and stays.

    Raises:
        UserError: If the file cannot be read or written, is damaged, or is of another kind.
    """
    path = Path(path)
    if path.suffix not in (".ckpt", ".safetensors"):
        raise UserError(
            f"{path}: only .ckpt and .safetensors can hold a checksum: convert it with 'mindcv convert'"
        )
    if path.is_symlink():
        raise UserError(f"{path}: is a link to {path.readlink()}: give that file, or a copy of it")
    content = read_content(path)
    if path.suffix == ".ckpt":
        records, protection = open_checkpoint(path)
        has_checksum, count = protection == "sha256", len(records)
    else:
        file = parse_safetensors(path, content)
        has_checksum, count = file.has_checksum, len(file.header)
    if has_checksum:
        return f"{path}: has a checksum already, and is intact"
    if states_checksum(path):
        return f"{path}: is not changed, because its name states its SHA-256; it is intact"
    new = (
        with_checksum_record(without_crc(content)[0])
        if path.suffix == ".ckpt"
        else with_checksum(path, content)
    )
    _replace(path, new)
    return f"{path}: has a checksum now, over {count} tensors"


def _replace(path: Path, content: bytes) -> None:
    try:
        with write_atomically(path) as (partial,):
            partial.write_bytes(content)
            shutil.copymode(path, partial)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}): free space or change the folder"
        ) from None
