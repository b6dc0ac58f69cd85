"""Repeated augmentation, growing images, and epochs of whole updates."""

import numpy as np
import pytest
from mindspore.dataset import vision

from mindcv.data import Pipeline, create_transforms, epoch_indices, progressive_stages
from mindcv.data.sources.source import ArraySource
from mindcv.errors import UserError

COUNT = 26
TO_NETWORK = [vision.HWC2CHW()]


def pipeline(**options):
    """Image i has the value i everywhere."""
    images = np.zeros((COUNT, 32, 32, 3), np.uint8) + np.arange(COUNT, dtype=np.uint8)[:, None, None, None]
    source = ArraySource("memory", "ab", np.arange(COUNT, dtype=np.int32) % 2, images)
    options = {"transform": TO_NETWORK, "batch_size": 4, "is_training": True, "seed": 3, **options}
    return Pipeline(source=source, **options)


def seen(iterator):
    return [images[:, 0, 0, 0].tolist() for images, _ in iterator]


def epoch(data, number=0, **options):
    return seen(data.epoch(number, **options).create_tuple_iterator(num_epochs=1, output_numpy=True))


def flat(batches):
    return [image for batch in batches for image in batch]


@pytest.mark.parametrize("repeats", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_copies_stand_next_to_each_other_in_the_order_that_the_ranks_share(repeats, size):
    options = {"seed": 1, "epoch": 2}
    parts = [epoch_indices(26, rank=r, world_size=size, aug_repeats=repeats, **options) for r in range(size)]
    each = -(-26 // size)
    assert [len(part) for part in parts] == [each] * size
    together = np.stack(parts, 1).reshape(-1)
    once = epoch_indices(26, **options)
    expected = [once[i // repeats % 26] for i in range(each * size)]
    assert together.tolist() == expected
    if repeats > 1:
        assert len(set(together)) == -(-each * size // repeats)


def test_repeated_images_are_others_in_another_epoch():
    parts = [set(epoch_indices(1000, seed=0, epoch=e, aug_repeats=4).tolist()) for e in range(40)]
    assert {len(part) for part in parts} == {250}
    assert len(set.union(*parts)) > 990


@pytest.mark.parametrize("workers", [1, 2])
def test_each_copy_is_cropped_and_flipped_by_itself(workers):
    columns, rows = np.meshgrid(np.arange(64), np.arange(64))
    place = np.stack([columns, rows, 0 * rows], -1).astype(np.uint8)
    source = ArraySource("memory", "a", np.zeros(24, np.int32), np.stack([place] * 24))
    data = Pipeline(
        source=source,
        transform=create_transforms("cifar10", 64, True, crop_padding=20, normalize=False),
        batch_size=24,
        is_training=True,
        aug_repeats=4,
        num_parallel_workers=workers,
    )
    ((images, _),) = data.epoch(0).create_tuple_iterator(num_epochs=1, output_numpy=True)
    assert len({image.tobytes() for image in images}) >= 23


def test_repeats_need_a_shuffled_order():
    with pytest.raises(UserError, match="aug_repeats=2 without shuffle would train on the same images"):
        pipeline(aug_repeats=2, shuffle=False)
    with pytest.raises(UserError, match="aug_repeats=0 must be a positive integer"):
        pipeline(aug_repeats=0)


def test_an_epoch_with_repeats_has_the_length_of_one_without():
    assert (
        pipeline(aug_repeats=3, world_size=2).steps_per_epoch == pipeline(world_size=2).steps_per_epoch == 4
    )
    data = pipeline(aug_repeats=2)
    found = flat(epoch(data, 1))
    assert found[::2] == found[1::2] == epoch_indices(COUNT, seed=3, epoch=1).tolist()[:13]
    run = data.run(1).create_tuple_iterator(num_epochs=2, output_numpy=True)
    assert [seen(run) for _ in range(2)] == [epoch(data, 1), epoch(data, 2)]


def test_stages_have_a_first_epoch_and_a_size():
    assert progressive_stages((128, 160, 192), (10, 20)) == [(0, 128), (10, 160), (20, 192)]
    assert progressive_stages([64], []) == [(0, 64)]


@pytest.mark.parametrize(
    ("sizes", "epochs", "message"),
    [
        (
            (128, 160),
            (),
            r"progressive_epochs=\(\) does not fit progressive_sizes=\(128, 160\): give the epoch",
        ),
        ((), (), "does not fit progressive_sizes"),
        ((128, 0), (5,), r"progressive_sizes=\(128, 0\) must be positive: give sizes of 1 pixel or more"),
        ((1, 2), (0,), r"progressive_epochs=\(0,\) must be above 0 and increase"),
        ((1, 2, 3), (5, 5), r"progressive_epochs=\(5, 5\) must be above 0 and increase"),
    ],
)
def test_stages_that_make_no_sense_are_explained(sizes, epochs, message):
    with pytest.raises(UserError, match=message):
        progressive_stages(sizes, epochs)


def growing(sizes=(16, 24, 32), epochs=(2, 5), **options):
    (_, first), *later = [
        (start, [vision.Resize((size, size)), *TO_NETWORK])
        for start, size in progressive_stages(sizes, epochs)
    ]
    return pipeline(transform=first, later_transforms=later, **options)


def test_images_grow_from_stage_to_stage_and_their_order_stays():
    data, plain = growing(), pipeline()
    for number, size in ((0, 16), (1, 16), (2, 24), (4, 24), (5, 32), (9, 32)):
        batches = data.epoch(number).create_tuple_iterator(num_epochs=1, output_numpy=True)
        assert {images.shape[1:] for images, _ in batches} == {(3, size, size)}
        assert epoch(data, number) == epoch(plain, number)
    run = data.run(2).create_tuple_iterator(num_epochs=3, output_numpy=True)
    for number in (2, 3, 4):
        batches = [images.copy() for images, _ in run]
        assert {images.shape[1:] for images in batches} == {(3, 24, 24)}
        assert [images[:, 0, 0, 0].tolist() for images in batches] == epoch(data, number)


def test_a_training_can_go_stage_by_stage():
    data = growing()
    assert data.stages(9) == [(0, 2), (2, 5), (5, 9)]
    assert data.stages(9, first_epoch=3) == [(3, 5), (5, 9)]
    assert data.stages(5, first_epoch=2) == [(2, 5)]
    assert data.stages(4, first_epoch=4) == []
    assert pipeline().stages(9, first_epoch=1) == [(1, 9)]
    with pytest.raises(
        UserError, match=r"later_transforms start at epochs \[4, 2\]: give increasing epochs above 0"
    ):
        pipeline(later_transforms=[(4, TO_NETWORK), (2, TO_NETWORK)])


@pytest.mark.parametrize(
    ("accumulation", "drop_remainder", "steps"),
    [(1, False, 7), (2, False, 6), (3, False, 6), (4, False, 4), (7, False, 7), (1, True, 6), (4, True, 4)],
)
def test_an_epoch_is_a_whole_number_of_updates(accumulation, drop_remainder, steps):
    data = pipeline(accumulation=accumulation, drop_remainder=drop_remainder)
    assert data.steps_per_epoch == steps
    assert data.updates_per_epoch == steps // accumulation
    plain = epoch(pipeline(drop_remainder=drop_remainder), 1)
    assert epoch(data, 1) == plain[:steps]
    assert epoch(data, 1, skip=2) == plain[2:steps]
    run = data.run(1).create_tuple_iterator(num_epochs=2, output_numpy=True)
    assert [seen(run) for _ in range(2)] == [epoch(data, 1), epoch(data, 2)]


def test_an_evaluation_knows_no_updates():
    assert pipeline(is_training=False, accumulation=5).steps_per_epoch == 7


def test_an_epoch_without_a_whole_update_is_explained():
    message = "gradient_accumulation_steps=8 is more than the 7 batches of an epoch: lower it or batch_size"
    with pytest.raises(UserError, match=message):
        pipeline(accumulation=8)
    with pytest.raises(UserError, match="gradient_accumulation_steps=0 must be a positive integer"):
        pipeline(accumulation=0)
