"""A folder without permissions is reported, and not taken for an empty one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mindcv.data import create_dataset, list_images
from mindcv.engine.checkpoint_averaging import select_checkpoints
from mindcv.engine.run_files import checkpoint_files
from mindcv.errors import UserError

NOBODY = 65534
REFUSAL = "inner cannot be read (Permission denied): check the path and its permissions"


@contextmanager
def unprivileged() -> Iterator[None]:
    """Give up root's right to read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose folder `inner` nobody can read, although there is a file in it."""
    path = Path(tempfile.mkdtemp())  # pytest's are root's own
    path.chmod(0o755)
    inner = path / "inner"
    inner.mkdir()
    (inner / "1.jpg").write_bytes(b"")
    (inner / "slim-1.ckpt").write_bytes(b"")
    inner.chmod(0)
    yield path
    inner.chmod(0o700)
    shutil.rmtree(path)


def test_images_in_a_folder_that_cannot_be_read_are_not_skipped(folder):
    for name in (folder, folder / "inner"):
        with unprivileged(), pytest.raises(UserError) as caught:
            list_images([name])
        assert str(caught.value).endswith(REFUSAL)


def test_checkpoints_in_a_folder_that_cannot_be_read_are_not_overlooked(folder):
    with unprivileged(), pytest.raises(UserError) as caught:
        checkpoint_files(folder / "inner", "slim")
    assert str(caught.value).endswith(REFUSAL)
    with unprivileged(), pytest.raises(UserError) as caught:
        select_checkpoints(folder / "inner", last=1)
    assert str(caught.value).endswith(REFUSAL)
    assert checkpoint_files(folder / "nowhere", "slim") == []


def test_a_class_that_cannot_be_read_is_not_taken_for_an_empty_one(folder):
    with unprivileged(), pytest.raises(PermissionError, match="inner"):
        create_dataset(name="imagenet", root=str(folder.parent), split=folder.name)
