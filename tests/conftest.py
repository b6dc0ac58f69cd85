"""Fixtures that several tests share."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindcv.config import ConfigError, load_config
from tests.support.file_server import CONTENT, NAME, FileServer, serving

PHOTO_CLASSES = {  # folder name: colour of the shape
    "red apple": (200, 40, 30),
    "Äpfel und Birnen 苹果": (60, 190, 60),
    "sky": (50, 90, 210),
}
PHOTOS_PER_CLASS = {"train": 24, "val": 8}


def pytest_configure() -> None:
    """Give each of several workers one thread, before any of its tests imports MindSpore.

    The tests of step, engine and export took 121 s of processor time with one thread and 129 s with two.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _pynative() -> Iterator[None]:
    """A test starts in PyNative mode and leaves it so, whatever mode it chooses itself."""
    to_pynative()
    yield
    to_pynative()


def to_pynative() -> None:
    """Choose PyNative mode, if a test has imported MindSpore at all."""
    mindspore = sys.modules.get("mindspore")
    if mindspore is not None:
        mindspore.set_context(mode=mindspore.PYNATIVE_MODE)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image folder: 3 classes of coloured shapes in noise, 24 and 8 JPEGs each, one of them grey.

    It is read-only by agreement: a test that needs it otherwise makes a copy.
    """
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for split, count in PHOTOS_PER_CLASS.items():
        for name, colour in PHOTO_CLASSES.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                photo(rng, colour).save(folder / f"{name} {i}.JPEG", quality=90)
    grey = root / "train" / "sky" / "sky 0.JPEG"
    Image.open(grey).convert("L").save(grey)
    return root


def photo(rng: np.random.Generator, colour: tuple[int, int, int]) -> Image.Image:
    """A coloured rectangle before noise, of a random size from 40 to 90 pixels."""
    height, width = rng.integers(40, 91, 2)
    pixels = rng.integers(0, 256, (height, width, 3))
    top, left = rng.integers(0, (height // 4, width // 4))
    part = pixels[top : top + 3 * height // 4, left : left + 3 * width // 4]
    part[:] = part // 4 + 3 * np.array(colour) // 4
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str | bytes], str]:
    """Writes a YAML file and returns its path."""

    def write(content: str | bytes) -> str:
        path = tmp_path / "recipe.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.fixture
def message() -> Callable[..., str]:
    """Takes a command line that is refused and returns in which words, one line."""

    def refused(*argv: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load_config(argv)
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    return refused


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that published weights are fetched into."""
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MINDCV_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def server(cache: Path) -> Iterator[FileServer]:
    """A server with one file, at work."""
    server = FileServer()
    server.files[f"/{NAME}"] = CONTENT
    with serving(server):
        yield server
