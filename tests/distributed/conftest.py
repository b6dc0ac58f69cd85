"""The images, weights and recipes of these tests."""

from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from distributed.recipes import CLASSES, MODEL
from PIL import Image

from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import create_model


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image folder whose smallest class validates with one image."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(1)
    for split, counts in CLASSES.items():
        for label, count in enumerate(counts):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 128, (36, 36, 3))
                pixels[..., label % 3] += 16 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights that have an opinion about each image."""
    path = tmp_path_factory.mktemp("checkpoint") / "random.ckpt"
    rng = np.random.default_rng(3)
    tensors = {}
    for parameter in create_model(MODEL, num_classes=len(CLASSES["val"])).get_parameters():
        value = parameter.asnumpy()
        if value.ndim > 1:
            value = rng.normal(0, np.sqrt(2 / np.prod(value.shape[1:])), value.shape).astype(np.float32)
        tensors[parameter.name] = ms.Tensor(value)
    write_checkpoint(path, tensors, {"classes": [f"class{label}" for label in range(len(CLASSES["val"]))]})
    return path


@pytest.fixture(scope="session")
def write(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that writes a recipe for the images into a new folder."""

    def recipe(text: str, **options: object) -> Path:
        folder = tmp_path_factory.mktemp("job")
        lines = {line.split(":")[0]: line for line in text.split("\n") if line}
        lines |= {key: f"{key}: {value}" for key, value in {"data_dir": images, **options}.items()}
        (folder / "recipe.yaml").write_text("\n".join(lines.values()) + "\n", encoding="utf-8")
        return folder

    return recipe
