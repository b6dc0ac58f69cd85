"""Epochs of batches: what they depend on, and that nothing is lost or seen twice."""

import hashlib
import logging
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindcv.data import Pipeline, create_source, create_transforms
from mindcv.data.workers import usable_workers
from mindcv.errors import UserError
from tests.support.numbered_images import COUNT, SIZE, collect, identities, write_numbered_images

CORES = len(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_numbered_images(tmp_path_factory.mktemp("images"))


def pipeline(folder, *, is_training=False, split=None, **options):
    options = {"batch_size": 4, "num_parallel_workers": 2, **options}
    return Pipeline(
        source=create_source("imagenet", folder, split or ("train" if is_training else "val")),
        transform=create_transforms("imagenet", SIZE, is_training, crop_pct=1.0, normalize=False),
        is_training=is_training,
        **options,
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_validation_image_comes_exactly_once_on_any_number_of_ranks(folder, size):
    seen, labels = [], []
    for rank in range(size):
        part = pipeline(folder, rank=rank, world_size=size)
        images, part_labels = collect(part.epoch())
        assert len(list(part.epoch())) == part.steps_per_epoch
        assert part.num_images == COUNT
        seen += identities(images)
        labels += part_labels.tolist()
    assert sorted(seen) == list(range(COUNT))
    assert labels == [i // 13 for i in seen]


def test_evaluation_images_are_complete_and_in_order(folder):
    evaluation = pipeline(folder)
    images, labels = collect(evaluation.epoch())
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
    for i, image in enumerate(images):
        with Image.open(evaluation.source.path(i)) as file:
            assert np.array_equal(image, np.asarray(file).transpose(2, 0, 1))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_training_ranks_share_an_epoch_and_get_equally_many_batches(folder, size):
    parts = [
        pipeline(folder, is_training=True, drop_remainder=True, rank=rank, world_size=size)
        for rank in range(size)
    ]
    assert {part.steps_per_epoch for part in parts} == {-(-COUNT // size) // 4}
    seen = [identities(collect(part.epoch(3))[0]) for part in parts]
    assert [len(part) for part in seen] == [parts[0].steps_per_epoch * 4] * size
    together = [i for part in seen for i in part]
    assert len(set(together)) >= len(together) - (size - COUNT % size) % size


def test_an_epoch_is_a_function_of_seed_epoch_and_rank(folder):
    def epoch(seed=1, epoch=2, rank=0):
        return collect(pipeline(folder, is_training=True, seed=seed, rank=rank, world_size=2).epoch(epoch))

    images, labels = epoch()
    again, labels_again = epoch()
    assert np.array_equal(images, again)
    assert np.array_equal(labels, labels_again)
    for other, _ in (epoch(seed=2), epoch(epoch=3), epoch(rank=1)):
        assert identities(other) != identities(images)
        assert not np.array_equal(other, images)


def test_augmentation_differs_by_epoch_and_by_rank_where_the_order_does_not(folder):
    def epoch(epoch, rank):
        options = {"shuffle": False, "num_samples": 2, "world_size": 2, "batch_size": 1, "rank": rank}
        return collect(pipeline(folder, is_training=True, **options).epoch(epoch))[0]

    same_image = [epoch(0, 0), epoch(1, 0), epoch(2, 0)]
    assert len({image.tobytes() for image in same_image}) == 3
    assert len({tuple(identities(image)) for image in same_image}) == 1
    # The same draws on two ranks would crop and flip alike: compare the green ramp's place.
    ramps = [epoch(0, rank)[0, 1].astype(int) - epoch(0, rank)[0, 0] for rank in (0, 1)]
    assert not np.array_equal(*ramps)


def test_skipped_batches_leave_the_rest_as_it_was(folder):
    training = pipeline(folder, is_training=True)
    images, labels = collect(training.epoch(1))
    rest, rest_labels = collect(training.epoch(1, skip=3))
    assert np.array_equal(rest, images[12:])
    assert np.array_equal(rest_labels, labels[12:])


def test_an_evaluation_in_the_midst_of_an_epoch_does_not_change_it(folder):
    training = pipeline(folder, is_training=True)
    images, _ = collect(training.epoch(0))
    iterator = training.epoch(0).create_tuple_iterator(num_epochs=1, output_numpy=True)
    parts = [next(iterator)[0].copy()]
    collect(pipeline(folder).epoch())
    parts += [image.copy() for image, _ in iterator]
    assert np.array_equal(np.concatenate(parts), images)


def test_another_process_gets_the_same_epoch(folder):
    script = (
        "import hashlib, sys; from mindcv.data import *; root = sys.argv[1]\n"
        f"p = Pipeline(source=create_source('', root), transform=create_transforms('', {SIZE}, True,"
        " normalize=False), batch_size=4, is_training=True, seed=5, num_parallel_workers=2)\n"
        "print(hashlib.sha256(b''.join(i.tobytes() for i, _ in"
        " p.epoch(7).create_tuple_iterator(num_epochs=1, output_numpy=True))).hexdigest())"
    )
    root = Path(__file__).parents[2]
    output = subprocess.run(
        [sys.executable, "-c", script, str(folder)], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    images, _ = collect(pipeline(folder, is_training=True, seed=5).epoch(7))
    assert output.split()[-1] == hashlib.sha256(images.tobytes()).hexdigest()


def test_an_epoch_leaves_the_generators_of_python_and_numpy_alone(folder):
    random.seed(1)
    np.random.seed(1)
    expected = random.Random(1).random(), np.random.RandomState(1).rand()
    pipeline(folder, is_training=True).epoch(0)
    assert (random.random(), np.random.rand()) == expected


def test_num_samples_is_a_total_over_ranks_and_stays_the_same(folder):
    epochs = []
    for epoch in range(2):
        parts = [
            pipeline(folder, is_training=True, num_samples=6, rank=rank, world_size=2, batch_size=3)
            for rank in range(2)
        ]
        assert [(part.num_images, part.steps_per_epoch) for part in parts] == [(6, 1), (6, 1)]
        epochs.append([i for part in parts for i in identities(collect(part.epoch(epoch))[0])])
    assert len(set(epochs[0])) == 6
    assert sorted(epochs[0]) == sorted(epochs[1])


def test_num_samples_of_an_evaluation_are_the_first(folder):
    seen = [
        identities(collect(pipeline(folder, num_samples=5, rank=r, world_size=2).epoch())[0]) for r in (0, 1)
    ]
    assert seen == [[0, 2, 4], [1, 3]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"batch_size": 27, "drop_remainder": True},
            "26 images of .*train do not fill one batch of batch_size=27:",
        ),
        (
            {"batch_size": 14, "drop_remainder": True, "world_size": 2},
            "batch_size=14 on each of 2 ranks: lower",
        ),
        ({"world_size": 27}, "26 images of .* on each of 27 ranks"),
        ({"batch_size": 0}, "batch_size=0 must be a positive integer"),
        ({"num_samples": 3, "drop_remainder": True}, "3 images of .* do not fill one batch of batch_size=4"),
        ({"num_classes": 1}, "num_classes=1 is too small: .*train has 2 classes, so give 2 or more"),
    ],
)
def test_what_cannot_fill_a_batch_or_a_network_is_explained(folder, options, message):
    with pytest.raises(UserError, match=message):
        pipeline(folder, is_training=True, **options)


def test_a_last_batch_that_is_not_full_is_kept_or_dropped(folder):
    for drop_remainder, sizes in ((False, [4] * 6 + [2]), (True, [4] * 6)):
        training = pipeline(folder, is_training=True, drop_remainder=drop_remainder)
        assert training.steps_per_epoch == len(sizes)
        assert [len(label) for _, label in training.epoch(0)] == sizes


def test_a_damaged_image_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MindSpore writes a copy of a damaged image there
    for i in range(6):
        path = tmp_path / "data" / "train" / "a" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (99, 99, 3), dtype=np.uint8)).save(path)
    evaluation = pipeline(tmp_path / "data", split="train")
    damaged = tmp_path / "data" / "train" / "a" / "3.jpg"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    with pytest.raises(RuntimeError) as error:
        collect(evaluation.epoch())
    explained = evaluation.explain(error.value)
    assert isinstance(explained, UserError)
    assert str(explained) == f"{damaged} is cut short: remove or replace it, or set on_bad_image to skip"


def test_an_error_that_no_image_causes_is_passed_on(folder):
    error = RuntimeError("something else")
    assert pipeline(folder).explain(error) is error


def test_workers_are_capped_at_the_cores_and_the_log_says_so_once(caplog, folder):
    asked = CORES + 1234
    with caplog.at_level(logging.INFO, "mindcv.data"):
        assert [usable_workers(asked) for _ in range(3)] == [CORES] * 3
        collect(pipeline(folder, num_parallel_workers=asked).epoch())
    assert [record.getMessage() for record in caplog.records] == [
        f"num_parallel_workers={asked} is more than this machine's cores: using {CORES}"
    ]
    assert (usable_workers(), usable_workers(1)) == (CORES, 1)


def test_a_run_on_one_dataset_sees_the_images_of_the_epochs_in_their_order(folder):
    train = pipeline(folder, is_training=True, seed=5)
    run = train.run(1).create_tuple_iterator(num_epochs=2, output_numpy=True)
    for epoch in (1, 2):
        seen = identities(np.concatenate([images.copy() for images, _ in run]))
        assert seen == identities(collect(train.epoch(epoch))[0])
