"""ColorJitter: ranges of its factors, their order, and the hue."""

import colorsys

import numpy as np
import pytest
from PIL import Image

from mindcv.data.augment import ColorJitter
from mindcv.data.augment import jitter as module
from mindcv.errors import UserError


def noise(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8))


def recorded(monkeypatch, jitter, times=2000):
    """Return the calls of the operations and their factors for `times` images."""
    calls = []
    for name in ("brightness", "contrast", "color", "turn_hue"):
        monkeypatch.setattr(
            module, name, lambda image, factor, name=name: (calls.append((name, factor)), image)[1]
        )
    rng = np.random.default_rng(0)
    for _ in range(times):
        jitter(noise(), rng)
    return calls


def test_factors_are_uniform_between_their_bounds(monkeypatch):
    calls = recorded(monkeypatch, ColorJitter(0.4, 1.5, (0.7, 0.8), 0.1))
    for name, low, high in (
        ("brightness", 0.6, 1.4),
        ("contrast", 0.0, 2.5),
        ("color", 0.7, 0.8),
        ("turn_hue", -0.1, 0.1),
    ):
        parts = (np.array([factor for called, factor in calls if called == name]) - low) / (high - low)
        assert len(parts) == 2000
        assert parts.min() >= 0
        assert parts.max() <= 1
        assert np.abs(np.histogram(parts, 4, (0, 1))[0] - 500).max() < 90


def test_every_order_of_the_changes_is_as_likely(monkeypatch):
    calls = recorded(monkeypatch, ColorJitter(0.4, 0.4, 0.4, 0.1), 2400)
    orders = [tuple(name for name, _ in calls[start : start + 4]) for start in range(0, len(calls), 4)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 24
    assert min(counts) > 60
    assert max(counts) < 140


def test_an_amount_of_nothing_changes_nothing(monkeypatch):
    assert ColorJitter()(noise(), np.random.default_rng(0)) == noise()
    assert {name for name, _ in recorded(monkeypatch, ColorJitter(contrast=0.4), 20)} == {"contrast"}


def test_one_factor_without_range_is_that_change():
    expected = Image.fromarray((np.asarray(noise()) * np.float32(0.5)).astype(np.uint8))
    assert ColorJitter(brightness=(0.5, 0.5))(noise(), np.random.default_rng(0)) == expected


@pytest.mark.parametrize("turns", [-0.5, -0.2, 1 / 3, 0.5])
def test_the_hue_turns_as_in_colorsys(turns):
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [200, 100, 50], [30, 60, 240], [90, 90, 90]]], np.uint8)
    turned = np.asarray(module.turn_hue(Image.fromarray(pixels), turns)).astype(int)
    for before, after in zip(pixels[0] / 255, turned[0], strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        expected = np.array(colorsys.hsv_to_rgb((hue + turns) % 1, saturation, value)) * 255
        assert np.abs(after - expected).max() <= 8  # a hue has 255 steps, each 6 values wide


def test_a_third_of_a_turn_makes_green_of_red_exactly():
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    assert module.turn_hue(red, 1 / 3) == Image.new("RGB", (2, 2), (0, 255, 0))
    assert module.turn_hue(red, -1 / 3) == Image.new("RGB", (2, 2), (0, 0, 255))


def test_grey_images_stay_grey():
    image = noise().convert("L")
    changed = ColorJitter(0.4, 0.4, 0.4, 0.1)(image, np.random.default_rng(0))
    assert changed.mode == "L"
    assert changed != image
    assert ColorJitter(saturation=0.9, hue=0.5)(image, np.random.default_rng(0)) == image


def test_jitter_is_determined_by_the_generator():
    jitter = ColorJitter(0.4, 0.4, 0.4, 0.1)
    first, again, other = (jitter(noise(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_amounts_out_of_range_are_explained():
    for options, message in (
        (
            {"brightness": -0.1},
            "brightness=-0.1 is out of range: give a number of at least 0, or a range of such factors",
        ),
        (
            {"saturation": (1.2, 0.8)},
            "saturation=(1.2, 0.8) is out of range: give a number of at least 0, or a range of such factors",
        ),
        (
            {"hue": 0.6},
            "hue=0.6 is out of range: give a number from 0 to 0.5, or a range within -0.5 to 0.5",
        ),
        (
            {"contrast": float("nan")},
            "contrast=nan is out of range: give a number of at least 0, or a range of such factors",
        ),
    ):
        with pytest.raises(UserError) as error:
            ColorJitter(**options)
        assert str(error.value) == message
