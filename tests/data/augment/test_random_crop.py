"""Random resized crop: torchvision's, pixel for pixel, for the box that it draws."""

import numpy as np
import pytest
from PIL import Image

from mindcv.data import create_transforms
from mindcv.data.augment import RandomResizedCrop
from tests.support.peers import torchvision

BILINEAR = Image.Resampling.BILINEAR


def photograph(height=70, width=90):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(16, 16), (40, 24), (128, 96)])
def test_a_crop_is_torchvisions_resized_crop_of_the_box(size):
    crop, image = RandomResizedCrop(size, (0.08, 1.0), (3 / 4, 4 / 3), BILINEAR), photograph()
    for seed in range(20):
        found = crop(image, np.random.default_rng(seed))
        left, top, right, bottom = crop._box(image.width, image.height, np.random.default_rng(seed))
        expected = torchvision.transforms.functional.resized_crop(
            image, top, left, bottom - top, right - left, list(size)
        )
        assert found == expected


def test_boxes_keep_area_and_aspect_within_bounds_and_reach_everywhere():
    crop, rng = RandomResizedCrop((8, 8), (0.2, 0.5), (0.5, 2.0), BILINEAR), np.random.default_rng(0)
    boxes = np.array([crop._box(300, 300, rng) for _ in range(2000)])
    left, top, right, bottom = boxes.T
    area, ratio = (right - left) * (bottom - top) / 90000, (right - left) / (bottom - top)
    assert area.min() > 0.195
    assert area.max() < 0.505
    assert ratio.min() > 0.49
    assert ratio.max() < 2.04
    assert np.abs(np.histogram(np.log(ratio), 4, (-np.log(2), np.log(2)))[0] - 500).max() < 100
    assert (left.min(), top.min(), right.max(), bottom.max()) == (0, 0, 300, 300)


@pytest.mark.parametrize(
    ("shape", "box"), [((20, 400), (186, 0, 213, 20)), ((400, 20), (0, 186, 20, 213)), ((9, 9), (0, 0, 9, 9))]
)
def test_where_no_box_fits_the_crop_is_the_largest_in_the_centre(shape, box):
    crop = RandomResizedCrop((8, 8), (1.0, 1.0), (3 / 4, 4 / 3), BILINEAR)
    if shape == (9, 9):
        crop = RandomResizedCrop((8, 8), (1.0, 1.0), (1.0, 1.0), BILINEAR)
    assert crop._box(shape[1], shape[0], np.random.default_rng(0)) == box


def test_training_with_pilbilinear_averages_when_it_shrinks():
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    operators = create_transforms(
        "", 16, True, scale=(1.0, 1.0), interpolation="pilbilinear", normalize=False, ratio=(1.0, 1.0)
    )
    pixels = stripes
    for operator in operators[1:]:  # all but the decoder
        pixels = operator(pixels)
    assert np.abs(pixels[:, 2:-2, 2:-2].astype(int) - 128).max() <= 8
