"""Mixup and CutMix against NumPy: pixels, labels, frequencies, and batches of any size."""

import math

import numpy as np
import pytest
from mindspore.dataset import vision

from mindcv.data import BatchMixer, Pipeline, create_loader, epoch_indices, epoch_keys
from mindcv.data.seeded_augmentation import BATCHES, generator
from mindcv.data.sources.source import ArraySource
from mindcv.errors import UserError

CLASSES = 7
COUNT = 22
TO_NETWORK = [vision.HWC2CHW()]


def batch(size, *, height=12, width=10, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (size, 3, height, width), dtype=np.uint8)
    return images, rng.integers(0, CLASSES, size).astype(np.int32)


def one_hot(labels):
    return np.eye(CLASSES, dtype=np.float32)[labels]


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_mixup_is_the_weighted_sum_of_a_batch_and_its_reverse(size):
    images, labels = batch(size)
    mixed, targets = BatchMixer(0.4, num_classes=CLASSES)(images, labels, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    rng.random()
    share = rng.beta(0.4, 0.4)
    assert 0.01 < share < 0.99
    one, other = np.float32(share), np.float32(1 - share)
    assert np.array_equal(mixed, np.rint(one * images + other * images[::-1]).astype(np.uint8))
    assert np.abs(mixed - (share * images + (1 - share) * images[::-1])).max() < 0.501
    assert np.array_equal(targets, one * one_hot(labels) + other * one_hot(labels[::-1]))
    assert (mixed.dtype, targets.dtype, targets.shape) == (np.uint8, np.float32, (size, CLASSES))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("size", [1, 4, 5])
def test_cutmix_puts_a_box_in_whose_area_is_exactly_the_others_part_of_the_label(size, seed):
    images = np.zeros((size, 3, 12, 10), np.uint8) + np.arange(size, dtype=np.uint8)[:, None, None, None]
    labels = np.arange(size)
    mixed, targets = BatchMixer(0, 1.0, num_classes=CLASSES)(images, labels, np.random.default_rng(seed))
    for i in range(size):
        partner = size - 1 - i
        if partner == i:
            assert np.array_equal(mixed[i], images[i])
            assert targets[i, i] == pytest.approx(1)
            continue
        box = (mixed[i] == partner).all(0)
        assert np.array_equal(box, (mixed[i] != i).any(0))
        rows, columns = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
        assert box.sum() == len(rows) * len(columns)
        if box.any():
            assert box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert targets[i, partner] == np.float32(1 - (1 - box.sum() / 120))
        assert targets[i, i] == np.float32(1 - box.sum() / 120)


def test_the_box_has_the_papers_sides_before_it_is_clipped():
    images, labels = np.zeros((2, 3, 64, 48), np.uint8), np.arange(2)
    images[1] = 1
    seen = set()
    for seed in range(200):
        mixed, _ = BatchMixer(0, 1.0, num_classes=2)(images, labels, np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        rng.random()
        side = math.sqrt(1 - rng.beta(1.0, 1.0))
        box = mixed[0, 0] == 1
        height, width = box.any(1).sum(), box.any(0).sum()
        assert height <= 2 * (int(64 * side) // 2)
        assert width <= 2 * (int(48 * side) // 2)
        seen.add((height == 2 * (int(64 * side) // 2), width == 2 * (int(48 * side) // 2)))
    assert seen == {(True, True), (True, False), (False, True), (False, False)}


@pytest.mark.parametrize("alphas", [(0.2, 0.0), (0.0, 1.0), (0.2, 1.0)])
def test_labels_sum_to_one_and_lack_nothing(alphas):
    images, labels = batch(9)
    mix = BatchMixer(*alphas, num_classes=CLASSES)
    for seed in range(50):
        _, targets = mix(images, labels, np.random.default_rng(seed))
        assert np.abs(targets.sum(1) - 1).max() < 1e-6
        others = np.arange(CLASSES)[None] != labels[:, None]
        others &= np.arange(CLASSES)[None] != labels[::-1, None]
        assert not targets[others].any()


def test_batches_are_mixed_and_switched_as_often_as_asked():
    images, labels = batch(2, height=32, width=32)
    mix = BatchMixer(1.0, 1.0, prob=0.6, switch_prob=0.25, num_classes=CLASSES)
    kinds = {"none": 0, "cut": 0, "blend": 0}
    for seed in range(1000):
        mixed, targets = mix(images, labels, np.random.default_rng(seed))
        if mixed is images:
            assert np.array_equal(targets, one_hot(labels))
            kinds["none"] += 1
        else:
            pure = (mixed[0] == images[0]) | (mixed[0] == images[1])
            kinds["cut" if pure.all() else "blend"] += 1
    # Four standard deviations of 1,000 draws are at most 63.
    assert kinds["none"] == pytest.approx(400, abs=63)
    assert kinds["cut"] == pytest.approx(150, abs=50)


def test_a_batch_that_is_not_mixed_keeps_its_images_and_its_labels_are_certain():
    images, labels = batch(3)
    for options in ({"prob": 0.0}, {"mixup_alpha": 0.0, "cutmix_alpha": 0.0}):
        mix = BatchMixer(**{"mixup_alpha": 1.0, "cutmix_alpha": 1.0, **options}, num_classes=CLASSES)
        mixed, targets = mix(images, labels, np.random.default_rng(0))
        assert mixed is images
        assert np.array_equal(targets, one_hot(labels))
    mixed, targets = BatchMixer(1.0, num_classes=CLASSES)(
        images, labels, np.random.default_rng(0), mixed=False
    )
    assert mixed is images
    assert np.array_equal(targets, one_hot(labels))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixup_alpha": -1}, "mixup=-1 is out of range: give 0 to switch it off, or the alpha"),
        ({"cutmix_alpha": math.nan}, "cutmix=nan is out of range"),
        ({"prob": 1.5}, "cutmix_prob=1.5 must be a probability, from 0 to 1"),
        ({"switch_prob": -0.5}, "mixup_switch_prob=-0.5 must be a probability"),
    ],
)
def test_impossible_numbers_are_explained(options, message):
    with pytest.raises(UserError, match=message):
        BatchMixer(**options, num_classes=2)


def test_the_message_about_a_label_out_of_range_names_the_remedy():
    images, _ = batch(2)
    with pytest.raises(UserError, match="num_classes=2 has no label 5: raise num_classes"):
        BatchMixer(num_classes=2)(images, np.array([0, 5]), np.random.default_rng(0))


def source():
    images, labels = batch(COUNT, seed=1)
    return ArraySource("memory", "abcdefg", labels, np.ascontiguousarray(images.transpose(0, 2, 3, 1)))


def pipeline(**options):
    options = {"batch_size": 4, "mixup": 0.8, "cutmix": 1.0, "cutmix_prob": 0.7, **options}
    return Pipeline(source=source(), transform=TO_NETWORK, is_training=True, seed=5, **options)


def batches(dataset):
    iterator = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True)
    return [(images.copy(), labels.copy()) for images, labels in iterator]


def same(one, other):
    return len(one) == len(other) and all(
        np.array_equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("drop_remainder", [False, True])
def test_batches_of_an_epoch_are_a_function_of_seed_epoch_rank_and_number(workers, rank, drop_remainder):
    data = pipeline(
        rank=rank,
        world_size=2,
        num_parallel_workers=workers,
        drop_remainder=drop_remainder,
        num_classes=CLASSES,
    )
    images, labels = batch(COUNT, seed=1)
    indices = epoch_indices(COUNT, seed=5, epoch=3, rank=rank, world_size=2)
    keys = epoch_keys(len(indices), seed=5, epoch=3, rank=rank, world_size=2)
    mix = BatchMixer(0.8, 1.0, 0.7, 0.5, num_classes=CLASSES)
    expected = [
        mix(images[indices[i : i + 4]], labels[indices[i : i + 4]], generator(keys[i], BATCHES))
        for i in range(0, 8 if drop_remainder else 11, 4)
    ]
    assert same(batches(data.epoch(3)), expected)
    assert data.steps_per_epoch == len(expected)


def test_a_resumed_epoch_is_mixed_as_it_would_have_been():
    data = pipeline(cutmix_prob=1.0)
    whole = batches(data.epoch(1))
    assert same(batches(data.epoch(1, skip=2)), whole[2:])
    assert not same(batches(data.epoch(2)), whole)


def test_mixing_ends_at_its_epoch_and_labels_stay_probabilities():
    data = pipeline(cutmix_prob=1.0, mixup_off_epoch=2)
    for epoch in range(4):
        found = batches(data.epoch(epoch))
        assert {labels.shape[1:] for _, labels in found} == {(CLASSES,)}
        assert all(labels.dtype == np.float32 for _, labels in found)
        assert all(np.isin(labels, (0, 1)).all() for _, labels in found) == (epoch >= 2)
    run = data.run(1).create_tuple_iterator(num_epochs=2, output_numpy=True)
    for epoch in (1, 2):
        passed = [(images.copy(), labels.copy()) for images, labels in run]
        assert same(passed, batches(data.epoch(epoch)))


def test_an_end_of_mixing_before_the_start_is_explained():
    with pytest.raises(
        UserError, match="mixup_off_epoch=-1 must not be negative: give an epoch, or 0 for never"
    ):
        pipeline(mixup_off_epoch=-1)


def test_an_evaluation_is_never_mixed():
    data = Pipeline(source=source(), transform=TO_NETWORK, batch_size=4, mixup=1.0, cutmix=1.0)
    assert all(labels.dtype == np.int32 and labels.ndim == 1 for _, labels in batches(data.epoch()))


def test_a_loader_mixes_for_training_with_the_datasets_classes_or_those_given():
    def loader(num_classes, *, known=None, is_training=True):
        dataset = source().dataset(np.arange(COUNT))
        dataset.num_classes = lambda: known
        return create_loader(
            dataset,
            4,
            is_training=is_training,
            mixup=1.0,
            num_classes=num_classes,
            transform=TO_NETWORK,
            num_parallel_workers=1,
        )

    assert {labels.shape[1] for _, labels in batches(loader(9))} == {9}
    found = batches(loader(None, known=CLASSES))
    assert {labels.shape[1] for _, labels in found} == {CLASSES}
    assert not np.isin(found[0][1], (0, 1)).all()
    assert same(found, batches(loader(None, known=CLASSES)))
    assert batches(loader(None, is_training=False))[0][1].dtype == np.int32
    mapped = source().dataset(np.arange(COUNT)).map([vision.VerticalFlip()], "image")
    with pytest.raises(UserError, match="mixup and cutmix need num_classes"):
        create_loader(mapped, 4, is_training=True, cutmix=1.0, transform=TO_NETWORK)
    with pytest.raises(
        UserError, match="mixup and cutmix need num_classes: give the number of the network's"
    ):
        loader(None)
