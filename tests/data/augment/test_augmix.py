"""AugMix: a convex mixture of the image and of chains of operations on it."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from mindcv.data.augment import create_policy
from mindcv.data.augment.magnitudes import Operation
from mindcv.data.augment.operations import translate_x_relative, translate_y_relative
from mindcv.data.augment.policy_tables import AUGMIX
from tests.support.peers import timm


def plane(colour, mode="RGB"):
    return Image.new(mode, (6, 5), colour)


def painted(name):
    """A policy whose i-th operation on black is full in channel i, and the operations it has applied."""
    seen = []

    def apply(image):
        seen.append(image)
        return plane(tuple(255 * (channel == (len(seen) - 1) % 3) for channel in range(3)))

    return dataclasses.replace(create_policy(name), operations=(Operation(apply=apply),)), seen


def shares(name, times=1500):
    """Return the weights of the three chains, of one operation each, and of the image in each mixture."""
    policy, _ = painted(name)
    rng, black = np.random.default_rng(0), plane((0, 0, 0))
    chains = np.array([np.asarray(policy(black, rng))[0, 0] for _ in range(times)]) / 255
    return np.concatenate([chains, 1 - chains.sum(1, keepdims=True)], 1)


def test_images_are_shifted_as_far_as_in_timm():
    theirs = timm.data.auto_augment.augmix_ops(magnitude=10, hparams={"translate_pct": 0.3})
    expected = {
        op.name: op.level_fn(10, {"translate_pct": 0.3})[0] for op in theirs if "Translate" in op.name
    }
    assert sorted(map(abs, expected.values())) == [0.3, 0.3]
    ours = [
        operation for operation in AUGMIX if operation.apply in (translate_x_relative, translate_y_relative)
    ]
    assert [operation.strength(1.0) for operation in ours] == [0.3, 0.3]
    assert len(AUGMIX) == len(theirs)


@pytest.mark.parametrize(
    "name", ["augmix-m0", "augmix-m0-w7-d5", "augmix-m0-w1", "augmix-m0-w5-a0.1", "augmix-m0-b1"]
)
def test_an_image_that_all_chains_leave_alone_stays(name):
    # At magnitude 0 only Posterize acts, and cuts all but the four highest bits.
    policy, rng = create_policy(name), np.random.default_rng(0)
    for image in (plane((240, 16, 128)), plane(160, "L")):
        assert all(policy(image, rng) == image for _ in range(30))


@pytest.mark.parametrize("blended", ["", "-b1"])
def test_weights_of_chains_and_image_are_dirichlets_and_betas(blended):
    found = shares(f"augmix-d1{blended}")
    assert found.min() >= -2 / 255
    assert found.max() <= 1
    assert found[:, 3].mean() == pytest.approx(1 / 2, abs=0.03)
    assert found[:, 3].std() == pytest.approx(np.sqrt(1 / 12), abs=0.02)
    assert found[:, :3].mean(0) == pytest.approx([1 / 6] * 3, abs=0.02)
    # The second moment of Beta(1, 1) times that of Dirichlet(1, 1, 1): 1/3 of 1/6.
    assert (found[:, :3] ** 2).mean(0) == pytest.approx([1 / 18] * 3, abs=0.01)


def test_a_large_alpha_makes_the_mixture_even():
    found = shares("augmix-d1-a100", 300)
    assert found.mean(0) == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2], abs=0.01)
    assert found.std(0).max() < 0.05


def test_the_mixture_is_rounded_once():
    policy, _ = painted("augmix-d1")
    rng = np.random.default_rng(3)
    weights, share = rng.dirichlet([1, 1, 1]), rng.beta(1, 1)
    mixed = np.asarray(policy(plane((100, 50, 7)), np.random.default_rng(3)))[0, 0]
    expected = (1 - share) * np.array([100, 50, 7]) + share * weights * 255
    assert np.array_equal(mixed, np.rint(expected))


def test_mixing_step_by_step_is_the_same_mixture_within_its_rounding():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    for seed in range(20):
        exact, blended = (
            np.asarray(create_policy(name)(Image.fromarray(pixels), np.random.default_rng(seed)), int)
            for name in ("augmix-w4", "augmix-w4-b1")
        )
        assert np.abs(exact - blended).max() <= 4


def test_width_and_depth_are_the_numbers_of_chains_and_of_operations():
    for name, calls in (("augmix-w3-d2", {6}), ("augmix-w5-d1", {5}), ("augmix-w1-d4", {4})):
        policy, seen = painted(name)
        rng, found = np.random.default_rng(0), set()
        for _ in range(10):
            seen.clear()
            policy(plane((0, 0, 0)), rng)
            found.add(len(seen))
        assert found == calls


@pytest.mark.parametrize("name", ["augmix-w1", "augmix-w1-d-1", "augmix-d-1-w1"])
def test_depth_minus_1_draws_from_1_to_3_operations(name):
    policy, seen = painted(name)
    rng, counts = np.random.default_rng(0), []
    for _ in range(900):
        seen.clear()
        policy(plane((0, 0, 0)), rng)
        counts.append(len(seen))
    assert np.abs(np.bincount(counts)[1:] - 300).max() < 60
    assert set(counts) == {1, 2, 3}


@pytest.mark.parametrize(
    ("token", "mean", "spread"), [("", 2.5, 5 / np.sqrt(12)), ("-mstd0.5", 5, 0.5), ("-mstd0", 5, 0)]
)
def test_magnitudes_are_uniform_up_to_m_unless_mstd_is_given(token, mean, spread):
    drawn = []
    operation = Operation(apply=lambda image, strength: (drawn.append(strength), image)[1], span=10)
    policy = dataclasses.replace(create_policy(f"augmix-m5-w4-d4{token}"), operations=(operation,))
    rng = np.random.default_rng(0)
    for _ in range(200):
        policy(plane((0, 0, 0)), rng)
    assert len(drawn) == 3200
    assert np.mean(drawn) == pytest.approx(mean, abs=0.08)
    assert np.std(drawn) == pytest.approx(spread, rel=0.05)


def test_every_operation_is_as_likely():
    seen = []
    operations = tuple(
        Operation(apply=lambda image, index=index: (seen.append(index), image)[1]) for index in range(5)
    )
    policy = dataclasses.replace(create_policy("augmix-w4-d5"), operations=operations)
    rng = np.random.default_rng(0)
    for _ in range(100):
        policy(plane((0, 0, 0)), rng)
    assert np.abs(np.bincount(seen) - 400).max() < 75
