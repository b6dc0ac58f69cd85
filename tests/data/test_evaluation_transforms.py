"""Evaluation images: resized and cropped as timm does it, for every size and crop fraction."""

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mindcv.data import create_transforms, describe_evaluation
from mindcv.errors import UserError
from tests.support.peers import timm

SIDES = st.integers(30, 1000)
FRACTIONS = st.sampled_from([0.5, 0.8, 0.875, 0.9, 0.95, 0.965, 1.0, 1.1, 1.5])


def picture(height: int, width: int) -> Image.Image:
    """Noise in blocks: every pixel counts, and an error of one pixel shows."""
    rng = np.random.default_rng(height * 1001 + width)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def ours(image: Image.Image, size: int, **options: object) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, "BMP")
    pixels = np.frombuffer(file.getvalue(), np.uint8)
    for operator in create_transforms("imagenet", size, normalize=False, **options):
        pixels = operator(pixels)
    return pixels


def theirs(image: Image.Image, size: int, interpolation: str, crop_pct: float) -> np.ndarray:
    transform = timm.data.create_transform(
        (3, size, size), interpolation=interpolation, crop_pct=crop_pct, normalize=False
    )
    return transform(image).numpy()


@pytest.mark.parametrize(
    ("interpolation", "name"), [("pilbilinear", "bilinear"), ("pilcubic", "bicubic")], ids=lambda name: name
)
@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES, size=st.integers(16, 288), crop_pct=FRACTIONS)
@example(height=126, width=30, size=235, crop_pct=1.0)  # 986 pixels in float32, 987 exactly
@example(height=59, width=56, size=56, crop_pct=1.0)  # half a pixel, to the even number above
@example(height=40, width=999, size=224, crop_pct=1.5)  # a border above and below only
def test_every_pixel_of_every_size_is_timms(interpolation, name, height, width, size, crop_pct):
    image = picture(height, width)
    found = ours(image, size, interpolation=interpolation, crop_pct=crop_pct)
    np.testing.assert_array_equal(found, theirs(image, size, name, crop_pct))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "linear", "bicubic", "area"])
@pytest.mark.parametrize(("height", "width"), [(59, 56), (56, 57), (56, 63), (61, 56), (56, 56)])
def test_the_crop_alone_is_torchvisions_with_mindspores_interpolations(interpolation, height, width):
    image = picture(height, width)  # 56 pixels is the shorter side already
    found = ours(image, 56, interpolation=interpolation, crop_pct=1.0)
    np.testing.assert_array_equal(found, theirs(image, 56, "bilinear", 1.0))


def test_linear_is_another_name_of_bilinear():
    image = picture(90, 61)
    assert np.array_equal(ours(image, 40, interpolation="linear"), ours(image, 40, interpolation="bilinear"))


@pytest.mark.parametrize("name", ["cifar10", "mnist", "digits"])
def test_a_crop_fraction_above_one_puts_a_black_border_around_small_images_too(name):
    channels = 1 if name == "mnist" else 3
    pixels = np.full((28, 28, channels), 200, np.uint8)
    if name == "digits":
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        pixels = np.frombuffer(file.getvalue(), np.uint8)
    for operator in create_transforms(name, 32, crop_pct=2.0, in_channels=channels, normalize=False):
        pixels = operator(pixels)
    expected = np.zeros((channels, 32, 32), np.uint8)
    expected[:, 8:24, 8:24] = 200
    assert np.array_equal(pixels, expected)


def test_an_evaluation_is_described_as_it_is_done():
    assert describe_evaluation("imagenet", 224, "pilbilinear", 2.0) == {
        "resize": 112,
        "side": "shorter",
        "interpolation": "pilbilinear",
        "crop": 224,
    }


@pytest.mark.parametrize("crop_pct", [0.0, -0.5, float("nan"), 1000.0])
def test_a_crop_fraction_that_leaves_no_image_is_refused(crop_pct):
    with pytest.raises(UserError, match=f"crop_pct={crop_pct} is out of range: give a fraction above 0"):
        create_transforms("imagenet", 224, crop_pct=crop_pct)
