"""Policies: how often they do what, how strongly, and that nothing but the generator decides it."""

import dataclasses
import math
import pickle
import random

import numpy as np
import pytest
from PIL import Image

from mindcv.data.augment import create_policy
from mindcv.data.augment.magnitudes import Operation
from mindcv.data.augment.policy_tables import THREE, Choice

NAMES = [
    "rand-m9-n2-mstd0.5-inc1",
    "rand-m10-p1-n5-w0",
    "rand-mstd100-mmax12-m12-p1",
    "rand-t3aw-p1",
    "randaug-m7-mstd0.5-inc1",
    "original",
    "originalr-mstd0.5",
    "autoaug-mstd0.5",
    "autoaugr",
    "v0",
    "v0r-mstdinf",
    "trivialaugwide",
    "3a",
    "augmix-m3-w3-d2",
    "augmix-m10-w2-d-1-a2-b1",
]


def noise(height=24, width=30, mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def recorder(seen, index=0, signed=False):
    """An operation that notes its index and, as its strength, its magnitude."""
    return Operation(
        apply=lambda image, strength: (seen.append((index, strength)), image)[1], span=10, signed=signed
    )


def run(policy, times):
    """Results for one image, `times` times."""
    rng, image = np.random.default_rng(0), noise(8, 8)
    return [policy(image, rng) for _ in range(times)]


def recorded(name, times=4000, signed=False):
    """Return the indices and magnitudes of a RandAugment's operations on each of `times` images."""
    seen = []
    policy = create_policy(name)
    operations = tuple(recorder(seen, i, signed) for i in range(len(policy.choice.operations)))
    policy = dataclasses.replace(policy, choice=Choice(operations, policy.choice.weights))
    rng, image, images = np.random.default_rng(0), noise(2, 2), []
    for _ in range(times):
        seen.clear()
        policy(image, rng)
        images.append(list(seen))
    return images


def magnitudes(name, times=3000):
    return np.array([strength for image in recorded(name, times) for _, strength in image])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_policy_keeps_mode_size_and_input_and_depends_on_the_generator_alone(name, mode):
    image, policy = noise(mode=mode), create_policy(name)
    before = image.copy()
    np.random.seed(1)
    random.seed(1)
    states = repr(np.random.get_state()), random.getstate()

    def results(policy, seed):
        rng = np.random.default_rng(seed)
        return [policy(image, rng) for _ in range(12)]

    first = results(policy, 5)
    assert {(result.mode, result.size) for result in first} == {(mode, (30, 24))}
    assert image == before
    assert results(policy, 5) == first
    assert results(pickle.loads(pickle.dumps(policy)), 5) == first
    assert results(policy, 6) != first
    assert any(result != image for result in first)
    assert (repr(np.random.get_state()), random.getstate()) == states


@pytest.mark.parametrize("count", [1, 2, 7])
def test_n_operations_are_drawn_for_an_image(count):
    assert {len(image) for image in recorded(f"rand-n{count}-p1", 50)} == {count}


@pytest.mark.parametrize(("token", "probability"), [("", 0.5), ("-p0.3", 0.3), ("-p0", 0), ("-p1", 1)])
def test_each_is_applied_with_probability_p(token, probability):
    counts = np.array([len(image) for image in recorded(f"rand{token}")])
    assert counts.mean() / 2 == pytest.approx(probability, abs=0.025)
    # Independently of each other.
    assert (counts == 2).mean() == pytest.approx(probability**2, abs=0.03)


@pytest.mark.parametrize("inc", ["", "-inc0", "-inc1"])
def test_every_operation_is_as_likely(inc):
    counts = np.bincount([index for image in recorded(f"rand-n1-p1{inc}", 6000) for index, _ in image])
    assert len(counts) == 15
    assert np.abs(counts - 400).max() < 85


def test_operations_by_weight_are_drawn_in_its_proportion_and_once_each():
    policy = create_policy("rand-w0")
    images = recorded("rand-n1-p1-w0", 8000)
    counts = np.bincount([index for image in images for index, _ in image], minlength=13)
    assert counts / 8000 == pytest.approx(policy.choice.weights, abs=0.02)
    assert sorted(policy.choice.weights) == pytest.approx(
        [0.005] * 5 + [0.025] * 3 + [0.1] * 2 + [0.2] * 2 + [0.3]
    )
    for image in recorded("rand-n13-p1-w0", 5):
        assert sorted(index for index, _ in image) == list(range(13))


def test_without_mstd_the_magnitude_is_m():
    assert set(magnitudes("rand-m7-p1", 50)) == {7}
    assert set(magnitudes("rand-p1", 50)) == {10}
    assert set(magnitudes("rand-m4.5-p1-mstd0", 50)) == {4.5}


@pytest.mark.parametrize("std", [0.25, 0.5, 1])
def test_mstd_is_the_standard_deviation_of_the_magnitude(std):
    for name in (f"rand-m5-p1-mstd{std}-inc1", f"randaug-mstd{std}-m5-p1"):
        drawn = magnitudes(name)
        assert drawn.mean() == pytest.approx(5, abs=0.06 * std)
        assert drawn.std() == pytest.approx(std, rel=0.04)


@pytest.mark.parametrize("mstd", ["mstd100", "mstd101", "mstdinf"])
def test_a_very_large_mstd_makes_the_magnitude_uniform_up_to_m(mstd):
    counts = np.histogram(magnitudes(f"rand-m5-p1-{mstd}"), 5, (0, 5))[0]
    assert counts.sum() == 6000
    assert np.abs(counts - 1200).max() < 150


def test_magnitudes_stay_between_0_and_mmax():
    for name, top in (("rand-m10-p1-mstd1", 10), ("rand-m12-mmax12-p1-mstd1", 12)):
        drawn = magnitudes(name)
        assert drawn.max() == top
        assert (drawn == top).mean() == pytest.approx(0.5, abs=0.03)
    assert magnitudes("rand-m9-mmax15-p1-mstd3").max() > 13
    assert (magnitudes("rand-m0-p1-mstd1") == 0).mean() == pytest.approx(0.5, abs=0.03)
    assert set(magnitudes("rand-mmax6-p1", 20)) == {6}


def test_either_sign_of_a_signed_operation_is_as_likely():
    strengths = [strength for image in recorded("rand-m7-p1", signed=True) for _, strength in image]
    assert set(strengths) == {-7, 7}
    assert np.mean(strengths) == pytest.approx(0, abs=0.3)


def test_geometric_operations_take_the_fill_and_both_interpolations():
    seen = []
    operation = Operation(
        apply=lambda image, strength, **options: (seen.append(options), image)[1], span=1, geometric=True
    )
    policy = dataclasses.replace(create_policy("rand-p1", fill=(1, 2, 3)), choice=Choice((operation,)))
    run(policy, 1000)
    assert {options["fill"] for options in seen} == {(1, 2, 3)}
    resamples = [options["resample"] for options in seen]
    assert set(resamples) == {Image.Resampling.BILINEAR, Image.Resampling.BICUBIC}
    assert resamples.count(Image.Resampling.BICUBIC) == pytest.approx(1000, abs=100)


def test_autoaugment_draws_one_of_its_sequences_and_honours_probability_and_mstd():
    seen = []
    for name, std in (("original", 0), ("v0-mstd0.5", 0.5), ("autoaugr-mstdinf", math.inf)):
        policy = create_policy(name)
        assert len(policy.sequences) == 25
        assert policy.std == std
        sequences = tuple(((recorder(seen, i), 1.0, 6.0), (recorder(seen, 99), 0.2, 6.0)) for i in range(5))
        seen.clear()
        run(dataclasses.replace(policy, sequences=sequences), 3000)
        counts = np.bincount([index for index, _ in seen])
        assert np.abs(counts[:5] - 600).max() < 110
        assert counts[99] == pytest.approx(600, abs=110)
        drawn = np.array([strength for _, strength in seen])
        spread = 6 / math.sqrt(12) if math.isinf(std) else std
        assert drawn.std() == pytest.approx(spread, rel=0.05)
        assert drawn.mean() == pytest.approx(3 if math.isinf(std) else 6, abs=0.1)


def test_trivialaugment_applies_one_operation_at_any_of_its_bins():
    for name, bins in (("trivialaugwide", 31), ("trivialaugwide-m5", 5)):
        seen = []
        policy = create_policy(name)
        assert len(policy.operations) == 14
        operations = tuple(recorder(seen, index) for index in range(14))
        run(dataclasses.replace(policy, operations=operations), 6200)
        assert len(seen) == 6200
        assert np.abs(np.bincount([index for index, _ in seen]) - 6200 / 14).max() < 90
        counts = np.bincount([round(strength * 3) for _, strength in seen])
        assert len(counts) == bins
        assert np.abs(counts - 6200 / bins).max() < 5 * math.sqrt(6200 / bins)


def test_three_augment_makes_grey_solarises_from_128_on_or_blurs():
    image = noise(8, 8)
    grey = Image.merge("RGB", [image.convert("L")] * 3)
    pixels = np.asarray(image)
    solarised = Image.fromarray(np.where(pixels < 128, pixels, 255 - pixels).astype(np.uint8))
    kinds = [
        "grey" if r == grey else "solarised" if r == solarised else "blur"
        for r in run(create_policy("3a"), 900)
    ]
    for kind in ("grey", "solarised", "blur"):
        assert kinds.count(kind) == pytest.approx(300, abs=60)


def test_three_augment_blurs_with_a_radius_uniform_from_a_tenth_to_two():
    radii = []
    blur = dataclasses.replace(THREE["Blur"], apply=lambda image, radius: (radii.append(radius), image)[1])
    run(dataclasses.replace(create_policy("3a"), sequences=(((blur, 1.0, 10.0),),)), 2000)
    assert min(radii) >= 0.1
    assert max(radii) <= 2
    assert np.abs(np.histogram(radii, 4, (0.1, 2))[0] - 500).max() < 90
