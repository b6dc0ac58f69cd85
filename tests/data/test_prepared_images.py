"""Small images in memory: the same batches, with each image decoded and resized once."""

import numpy as np
import pytest

from mindcv.data import Pipeline, PreparedImages, create_transforms
from mindcv.data.sources.source import ArraySource

COUNT = 21


class Counting(ArraySource):
    """Images in memory that count how often one is read."""

    reads = 0

    def read(self, indices, on_bad_image="fail"):
        for sample in super().read(indices, on_bad_image):
            self.reads += 1
            yield sample


def source(channels=3):
    pixels = np.random.default_rng(1).integers(0, 256, (COUNT, 28, 28, channels)).astype(np.uint8)
    labels = (np.arange(COUNT) % 3).astype(np.int32)
    return Counting("memory", ["a", "b", "c"], labels, pixels)


def pipeline(images, dataset, prepared=None, sizes=(40,), **options):
    is_training = options.pop("is_training", True)
    transforms = [create_transforms(dataset, size, is_training, normalize=False, **options) for size in sizes]
    return Pipeline(
        source=images,
        transform=transforms[0],
        later_transforms=tuple(enumerate(transforms))[1:],
        batch_size=4,
        is_training=is_training,
        seed=3,
        num_parallel_workers=2,
        prepared=prepared,
    )


def batches(data, epoch=0, **options):
    return list(data.epoch(epoch, **options).create_tuple_iterator(num_epochs=1, output_numpy=True))


def assert_equal(found, expected):
    assert len(found) == len(expected) > 0
    for left, right in zip(found, expected, strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(left, right, strict=True))


CASES = {
    "colour": ("cifar10", 3, {"interpolation": "bicubic"}),
    "grey": ("mnist", 1, {"in_channels": 1}),
    "grey in three channels": ("mnist", 1, {"in_channels": 3, "interpolation": "pilcubic"}),
    "policy": ("cifar10", 3, {"auto_augment": "randaug-m9", "re_prob": 0.5, "interpolation": "pilbilinear"}),
    "evaluation": ("cifar10", 3, {"is_training": False, "crop_pct": 0.8}),
}


@pytest.mark.parametrize("case", CASES)
def test_batches_are_those_of_images_that_are_resized_each_time(case):
    dataset, channels, options = CASES[case]
    images = source(channels)
    plain = pipeline(images, dataset, **options)
    prepared = pipeline(images, dataset, PreparedImages(images), **options)
    for epoch in (0, 1):
        assert_equal(batches(prepared, epoch), batches(plain, epoch))
    assert_equal(batches(prepared, 2, skip=2), batches(plain, 2)[2:])


def test_each_image_is_read_once_for_all_epochs():
    images = source()
    data = pipeline(images, "cifar10", PreparedImages(images))
    for epoch in range(3):
        batches(data, epoch)
    assert images.reads == COUNT


def test_images_that_grow_are_prepared_at_each_size():
    images = source()
    sizes = (32, 40, 48)
    prepared = pipeline(images, "cifar10", PreparedImages(images), sizes)
    plain = pipeline(source(), "cifar10", None, sizes)
    for epoch, size in enumerate(sizes):
        found = batches(prepared, epoch)
        assert found[0][0].shape == (4, 3, size, size)
        assert_equal(found, batches(plain, epoch))
    assert images.reads == 3 * COUNT


@pytest.mark.parametrize("spare", [0, -1])
def test_images_are_kept_up_to_a_size_in_bytes(spare):
    images = source()
    data = pipeline(images, "cifar10", PreparedImages(images, most_bytes=COUNT * 40 * 40 * 3 + spare))
    assert_equal(batches(data), batches(pipeline(source(), "cifar10")))
    first = images.reads
    batches(data, 1)
    assert images.reads - first == (0 if spare == 0 else COUNT)
