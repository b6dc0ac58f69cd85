"""Random erasing: how often, where, how much, and with what."""

import numpy as np
import pytest

from mindcv.data.augment import RandomErasing
from mindcv.errors import UserError

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
MARK = 255  # no colour of the filling has it


def image(height=60, width=80):
    return np.full((height, width, 3), MARK, np.uint8)


def rectangles(erasing, times=500, height=60, width=80):
    """Top, left, height and width of what is erased; None where nothing is."""
    rng = np.random.default_rng(0)
    return [bounds(erasing(image(height, width), rng)) for _ in range(times)]


def bounds(erased):
    rows, columns = np.nonzero((erased != MARK).any(-1))
    if not len(rows):
        return None
    top, left = rows.min(), columns.min()
    height, width = rows.max() + 1 - top, columns.max() + 1 - left
    assert len(rows) == height * width, "a rectangle"
    return top, left, height, width


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_images_are_erased_with_the_probability(probability):
    erased = [found is not None for found in rectangles(RandomErasing(probability), 2000)]
    assert np.mean(erased) == pytest.approx(probability, abs=0.035 if probability % 1 else 0)


def test_the_erased_part_is_uniform_within_the_scale():
    found = rectangles(RandomErasing(1.0, scale=(0.1, 0.3), ratio=(0.5, 2.0)), 1000, 100, 100)
    parts = np.array([height * width for _, _, height, width in found]) / 100**2
    # Rounding moves a side by up to a half.
    assert parts.min() > 0.1 * (1 - 0.5 / 22) ** 2
    assert parts.max() < 0.3 * (1 + 0.5 / 38) ** 2
    assert np.abs(np.histogram(parts, 4, (0.1, 0.3))[0] - 250).max() < 60


def test_the_logarithm_of_height_over_width_is_uniform_within_the_ratio():
    found = rectangles(RandomErasing(1.0, scale=(0.1, 0.1), ratio=(0.25, 4.0)), 1000, 100, 100)
    logs = np.log([height / width for _, _, height, width in found])
    assert np.abs(logs).max() < np.log(4) + 0.06
    assert np.abs(np.histogram(logs, 4, (-np.log(4), np.log(4)))[0] - 250).max() < 60


def test_every_place_where_a_rectangle_fits_is_as_likely():
    found = rectangles(RandomErasing(1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0)), 2000, 12, 12)
    assert {rectangle[2:] for rectangle in found} == {(6, 6)}
    for places in ([rectangle[0] for rectangle in found], [rectangle[1] for rectangle in found]):
        counts = np.bincount(places)
        assert len(counts) == 7
        assert np.abs(counts - 2000 / 7).max() < 75


def test_an_image_stays_where_no_rectangle_fits():
    assert set(rectangles(RandomErasing(1.0, scale=(0.5, 0.5), ratio=(9.0, 9.0)), 20)) == {None}


def test_more_attempts_find_a_place_more_often():
    rates = [
        np.mean([found is not None for found in rectangles(RandomErasing(1.0, **options), 600)])
        for options in (
            {"scale": (0.5, 1.0), "ratio": (0.3, 3.3), "max_attempts": attempts} for attempts in (1, 10)
        )
    ]
    assert rates[0] < 0.5
    assert rates[1] == pytest.approx(1 - (1 - rates[0]) ** 10, abs=0.05)


def test_the_whole_image_can_be_erased():
    assert set(rectangles(RandomErasing(1.0, scale=(1.0, 1.0), ratio=(0.75, 0.75)), 5)) == {(0, 0, 60, 80)}


@pytest.mark.parametrize("value", ["const", 0, 0.0])
def test_a_constant_is_the_mean_colour(value):
    erased = RandomErasing(1.0, value=value)(image(), np.random.default_rng(0))
    assert {tuple(pixel) for pixel in erased.reshape(-1, 3)} == {(255, 255, 255), (124, 116, 104)}


@pytest.mark.parametrize(("value", "colour"), [(1, (182, 173, 161)), (-5.0, (0, 0, 0)), (9, (255, 255, 255))])
def test_a_number_is_a_constant_of_the_normalised_image(value, colour):
    erased = RandomErasing(1.0, value=value)(image() // 2, np.random.default_rng(0))
    assert {tuple(pixel) for pixel in erased.reshape(-1, 3)} == {(127, 127, 127), colour}


@pytest.mark.parametrize("value", ["pixel", "random"])
def test_noise_is_normal_for_each_pixel_and_channel(value):
    erasing = RandomErasing(1.0, value=value, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    erased = erasing(image(300, 300), np.random.default_rng(0)).reshape(-1, 3)
    levels = np.random.default_rng(1).standard_normal((1_000_000, 3))
    expected = np.clip(np.rint(np.array(MEAN) + np.array(STD) * levels), 0, 255)
    assert erased.mean(0) == pytest.approx(expected.mean(0), abs=1)
    assert erased.std(0) == pytest.approx(expected.std(0), abs=1)
    assert np.abs(np.corrcoef(erased.T) - np.eye(3)).max() < 0.02
    neighbours = np.corrcoef(erased[:-1, 0], erased[1:, 0])[0, 1]
    assert abs(neighbours) < 0.02


def test_noise_beyond_the_range_is_clipped():
    erasing = RandomErasing(1.0, value="pixel", scale=(1.0, 1.0), ratio=(1.0, 1.0))
    red = erasing(image(300, 300), np.random.default_rng(0))[..., 0]
    assert (red == 0).mean() == pytest.approx(0.017, abs=0.003)
    assert (red == 255).mean() == pytest.approx(0.012, abs=0.003)


def test_a_grey_image_has_one_mean():
    erased = RandomErasing(1.0, mean=(33.3,), std=(78.6,))(image()[..., :1], np.random.default_rng(0))
    assert set(erased.flat) == {255, 33}


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_result_is_new_and_the_input_stays(probability):
    pixels = image()
    pixels.flags.writeable = False
    erased = RandomErasing(probability, value="pixel")(pixels, np.random.default_rng(0))
    assert erased.dtype == np.uint8
    assert erased.shape == (60, 80, 3)
    assert erased.flags.writeable
    assert not np.shares_memory(erased, pixels)
    assert np.array_equal(pixels, image())


def test_erasing_is_determined_by_the_generator():
    erasing = RandomErasing(1.0, value="pixel")
    first, again, other = (erasing(image(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probability": 1.5}, "re_prob=1.5 must be a probability, from 0 to 1"),
        ({"probability": float("nan")}, "re_prob=nan must be a probability, from 0 to 1"),
        (
            {"scale": (0.5, 0.2)},
            "re_scale=(0.5, 0.2) must be a range of fractions: "
            "give two increasing numbers above 0 and up to 1",
        ),
        (
            {"ratio": (0.0, 3.3)},
            "re_ratio=(0.0, 3.3) must be a range of ratios: give two increasing numbers above 0",
        ),
        ({"max_attempts": 0}, "max_attempts=0 must be a positive integer"),
        (
            {"value": "rand"},
            "re_value='rand' is unknown: give a number (0 is the mean colour), or 'random' for noise",
        ),
        (
            {"value": float("inf")},
            "re_value=inf is unknown: give a number (0 is the mean colour), or 'random' for noise",
        ),
    ],
)
def test_impossible_options_are_explained(options, message):
    with pytest.raises(UserError) as error:
        RandomErasing(**{"probability": 0.5} | options)
    assert str(error.value) == message


def test_another_number_of_channels_is_explained():
    with pytest.raises(UserError) as error:
        RandomErasing(0.5)(image()[..., :1], np.random.default_rng(0))
    assert str(error.value) == (
        "an image of 1 channels cannot be erased with mean=(123.675, 116.28, 103.53) and "
        "std=(58.395, 57.12, 57.375): give 1 numbers each"
    )
