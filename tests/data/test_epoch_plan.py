"""An epoch's plan: the images, keys and mixing of an epoch, unchanged from release to release."""

import hashlib

import numpy as np
import pytest
from mindspore.dataset import vision

from mindcv.data import Augmentation, Pipeline
from mindcv.data.augment import RandomErasing, create_policy
from mindcv.data.sources.source import ArraySource

COUNT, SIDE, CLASSES = 37, 16, 5


def source() -> ArraySource:
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    return ArraySource("memory", "abcde", (np.arange(COUNT) % CLASSES).astype(np.int32), images)


def transform(size: int = SIDE) -> list[object]:
    """MindSpore's random operators and Python's, none of whose pixels depend on the processor."""
    augmentation = Augmentation(
        [create_policy("rand-m9-mstd0.5-inc1", size=size)], [RandomErasing(0.5, value="random")]
    )
    return [
        vision.Resize((size, size), vision.Inter.NEAREST),
        vision.RandomCrop(size, padding=2),
        augmentation,
        vision.HWC2CHW(),
    ]


def pipeline(**options: object) -> Pipeline:
    options = {"transform": transform(), "batch_size": 4, "is_training": True, "seed": 11, **options}
    return Pipeline(source=source(), num_parallel_workers=1, **options)


def digest(*passes) -> str:
    """A hash of all images and labels, with their types, in order."""
    found = hashlib.sha256()
    for rows in passes:
        for row in rows:
            for column in row:
                found.update(f"{column.dtype}{column.shape}".encode() + column.tobytes())
    return found.hexdigest()[:16]


def batches(data):
    return data.create_tuple_iterator(num_epochs=1, output_numpy=True)


CASES = {
    "shuffled": {},
    "in order": {"shuffle": False},
    "few samples": {"num_samples": 13},
    "repeated augmentation": {"aug_repeats": 3},
    "accumulated": {"accumulation": 3, "drop_remainder": True},
    "rank 1 of 3": {"rank": 1, "world_size": 3},
    "repeats on rank 1 of 2": {"aug_repeats": 2, "rank": 1, "world_size": 2, "num_samples": 30},
    "mixed": {"mixup": 0.8, "cutmix": 1.0, "cutmix_prob": 0.7},
    "mixed until epoch 1": {"mixup": 0.8, "mixup_off_epoch": 1, "num_classes": 6},
    "growing": {"transform": transform(8), "later_transforms": ((1, transform(12)), (2, transform()))},
    "evaluation": {"is_training": False, "transform": [vision.HWC2CHW()]},
    "evaluation on rank 1 of 3": {"is_training": False, "rank": 1, "world_size": 3, "num_samples": 20},
}


# SHA-256 of each case, from the release before there was a plan.
EXPECTED = {
    "shuffled": "31c356b80f99b3d1",
    "in order": "25d73a169409db38",
    "few samples": "2bde9608b8c63880",
    "repeated augmentation": "42b930a5f08927a9",
    "accumulated": "f165438d507b91af",
    "rank 1 of 3": "94c4826c6f3bb3d5",
    "repeats on rank 1 of 2": "cde79b7dd1eb84d0",
    "mixed": "f48f0acc6cd3d679",
    "mixed until epoch 1": "099e8e51a5dcee19",
    "growing": "c4a9758cdd49ebc7",
    "evaluation": "c349588a36b42e39",
    "evaluation on rank 1 of 3": "b74235e16a64b2d0",
}
EXPECTED_AFTER_SKIP = {
    "shuffled": "faf3919fef09214c",
    "rank 1 of 3": "8cab74d9448787a7",
    "mixed": "c03c197bcc9a31c5",
    "growing": "99474813b44448ea",
}
EXPECTED_IN_A_RUN = {
    "shuffled": "4e5436862b40f1a0",
    "repeated augmentation": "81e37c43895522f8",
    "rank 1 of 3": "219ffac88e582bd4",
    "mixed until epoch 1": "4276fbce8cf5cf68",
}


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items())
def test_three_epochs_have_the_bytes_that_they_had_in_earlier_releases(name, expected):
    data = pipeline(**CASES[name])
    assert digest(*(batches(data.epoch(epoch)) for epoch in range(3))) == expected


@pytest.mark.parametrize(("name", "expected"), EXPECTED_AFTER_SKIP.items())
def test_a_resumed_epoch_has_the_bytes_that_it_had_in_earlier_releases(name, expected):
    assert digest(batches(pipeline(**CASES[name]).epoch(1, skip=2))) == expected


@pytest.mark.parametrize(("name", "expected"), EXPECTED_IN_A_RUN.items())
def test_passes_over_one_dataset_have_the_bytes_that_they_had_in_earlier_releases(name, expected):
    run = pipeline(**CASES[name]).run(1).create_tuple_iterator(num_epochs=2, output_numpy=True)
    assert digest(*([tuple(column.copy() for column in row) for row in run] for _ in range(2))) == expected
