"""Evaluation of real photographs as timm does it: the same pixels, and the same first five classes."""

import io

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from mindcv.data import create_transforms
from mindcv.models import create_model
from tests.support.peers import timm, torch
from tests.support.random_weights import logits_of, peer

SIZE = 224


def photographs() -> list[bytes]:
    """JPEG files of parts of scikit-learn's two photographs, of several shapes, upright and on their side."""
    found = []
    for photo in load_sample_images().images:
        parts = [photo, photo[:, :427], photo[:400, :500], photo[40:340, 100:560], photo[100:350, 200:500]]
        for part in [*parts, photo.transpose(1, 0, 2)]:
            file = io.BytesIO()
            Image.fromarray(part).save(file, "JPEG", quality=92)
            found.append(file.getvalue())
    return found


def ours(photo: bytes, interpolation: str) -> np.ndarray:
    """A photograph as validate.py shows it to the network, before it is normalised."""
    data = ds.GeneratorDataset([(np.frombuffer(photo, np.uint8),)], ["image"], num_parallel_workers=1)
    transforms = create_transforms("imagenet", SIZE, interpolation=interpolation, normalize=False)
    data = data.map(transforms, "image", num_parallel_workers=1)
    return next(data.create_tuple_iterator(num_epochs=1, output_numpy=True))[0]


def theirs(photo: bytes, interpolation: str) -> np.ndarray:
    """The same by timm."""
    transform = timm.data.create_transform(
        (3, SIZE, SIZE), is_training=False, interpolation=interpolation, mean=(0, 0, 0), std=(1, 1, 1)
    )
    tensor = transform(Image.open(io.BytesIO(photo)))
    return (tensor * 255).round().to(torch.uint8).numpy()


def differences(mine: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.abs(mine.astype(int) - others)


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_photographs_have_timms_pixels(name):
    interpolation = {"bilinear": "pilbilinear", "bicubic": "pilcubic"}[name]
    for photo in photographs():
        assert differences(ours(photo, interpolation), theirs(photo, name)).max() == 0


def test_bilinear_differs_because_it_does_not_average_when_it_shrinks():
    found = [differences(ours(photo, "bilinear"), theirs(photo, "bilinear")) for photo in photographs()]
    assert min(difference.mean() for difference in found) > 0.1
    assert max(difference.mean() for difference in found) < 5  # of 255
    assert max(difference.max() for difference in found) < 100


@pytest.mark.parametrize("model", ["mnasnet_050", "semnasnet_075"])
def test_the_first_five_classes_of_photographs_are_timms(tmp_path, model):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network, path = peer("timm", model, classes=1000, size=SIZE), tmp_path / "a.pth"
    torch.save(network.state_dict(), path)
    converted = create_model(model, checkpoint_path=str(path))
    pairs = [(ours(photo, "pilcubic"), theirs(photo, "bicubic")) for photo in photographs()]
    here, there = (
        logits_of(one, normalised(np.stack(batch)))
        for one, batch in zip((converted, network), zip(*pairs, strict=True), strict=True)
    )
    assert len(here) == 12
    np.testing.assert_array_equal(*(np.argsort(-logits, axis=1)[:, :5] for logits in (here, there)))


def normalised(batch: np.ndarray) -> np.ndarray:
    mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32).reshape(2, 1, 3, 1, 1)
    return (batch / np.float32(255) - mean) / std
