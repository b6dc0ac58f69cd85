"""Ranks with other data, options or weights than rank 0: named before the first step, in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from distributed.jobs import LAUNCH, SCRIPTS, Job
from distributed.recipes import SMALLEST
from PIL import Image

CLASSES = ("Äpfel", "red apple", "sky")
IMAGES = {"train": 4, "val": 1}
SAME = "give all hosts the same dataset"


def images(root: Path) -> Path:
    """A folder of three classes."""
    rng = np.random.default_rng(0)
    for split, count in IMAGES.items():
        for name in CLASSES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


VARIANTS: dict[str, Callable[[Path], object]] = {
    "class": lambda root: [shutil.rmtree(root / split / "sky") for split in IMAGES],
    "count": lambda root: (root / "train/red apple/1.png").unlink(),
    "more": lambda root: shutil.copy(root / "val/sky/0.png", root / "val/sky/1.png"),
    "name": lambda root: (root / "val/sky/0.png").rename(root / "val/sky/a.png"),
    "size": lambda root: (root / "train/sky/3.png").write_bytes(b"0123456"),
}


@pytest.fixture(
    scope="module",
    params=["mpirun", pytest.param("msrun", marks=[pytest.mark.slow, pytest.mark.hostile])],
)
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    """The messages of two ranks about each difference, by mode."""
    folder = tmp_path_factory.mktemp("disagreeing")
    whole = images(folder / "images")
    for name, change in VARIANTS.items():
        change(Path(shutil.copytree(whole, folder / "variants" / name)))
    (folder / "recipe.yaml").write_text(f"{SMALLEST}data_dir: images\n", encoding="utf-8")
    with Job(LAUNCH[request.param](2, SCRIPTS / "disagreeing.py", "-c", "recipe.yaml"), folder) as job:
        finished = job.finish()
        assert finished.status == 0, finished
        first, second = (
            json.loads((folder / f"found{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)
        )
    assert first == second  # they leave the comparison together, whatever it finds
    return first


modes = pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])


@modes
@pytest.mark.parametrize(
    "what", ["nothing", "places and workers", "count, val", "more, train", "name, train", "size, val"]
)
def test_ranks_that_agree_or_keep_their_files_elsewhere_go_on(found, mode, what):
    assert found[str(mode)][what] == ""


@modes
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("class, train", f"rank 1: 2 classes in train, 'sky' is missing; rank 0 has 3: {SAME}"),
        ("class, val", f"rank 1: 2 classes in val, 'sky' is missing; rank 0 has 3: {SAME}"),
        (
            "count, train",
            f"rank 1: 11 image files in train, 'red apple/1.png' is missing; rank 0 has 12: {SAME}",
        ),
        ("more, val", f"rank 1: 4 image files in val, and rank 0, which has 3, lacks 'sky/1.png': {SAME}"),
        ("name, val", f"rank 1: 3 image files in val, 'sky/0.png' is missing; rank 0 has 3: {SAME}"),
        ("size, train", f"rank 1: sky/3.png has 7 bytes; rank 0: sky/3.png has {{}} bytes: {SAME}"),
    ],
)
def test_other_data_is_named(found, mode, what, said):
    text = found[str(mode)][what]
    size = text.rpartition(" bytes")[0].rpartition(" ")[2]
    assert text == said.format(size)


@modes
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("a number", "rank 1: lr=0.5; rank 0: lr=0.01"),
        ("a choice", "rank 1: opt=adamw; rank 0: opt=momentum"),
        ("a resumed run", "rank 1: resume is given; rank 0: resume is not given"),
    ],
)
def test_another_option_is_named(found, mode, what, said):
    assert found[str(mode)][what] == f"{said}: start all ranks with the same options"


@modes
def test_weights_are_compared_to_the_bit(found, mode):
    said = found[str(mode)]
    assert said["one file of weights"] == ""
    assert said["two files"].startswith("rank 1: ckpt_path: features.0.weight with checksum ")
    assert said["a bit"].startswith("rank 1: these: a value with checksum ")
