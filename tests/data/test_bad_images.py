"""Handling of images that cannot be read: `on_bad_image`, and the reports about them."""

import os
import shutil

import numpy as np
import pytest
from mindspore import nn
from PIL import Image

from mindcv.data import Pipeline, create_source, create_transforms
from mindcv.engine import evaluate
from mindcv.errors import UserError
from mindcv.step import EvalStep
from tests.support.hostile_images import png, run_length_bmp, with_size

COUNT, SIZE = 24, 16
LOSS = nn.CrossEntropyLoss(reduction="none")
# Number of an image, and the content that makes it bad.
BAD = {3: b"", 4: b"text", 15: None}  # None: cut short


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Classes a and b of twelve images, each of one grey value: five times its number."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val"):
        for i in range(COUNT):
            path = path_of(tmp_path / "data", i, split)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (SIZE, SIZE), (5 * i,) * 3).save(path, quality=95)
    return tmp_path / "data"


def path_of(root, number, split="train"):
    return root / split / ("a ü" if number < 12 else "b") / f"image {number:02d}.jpg"


def spoil(root, *splits, numbers=BAD):
    for split in splits or ("train", "val"):
        for number in numbers:
            path = path_of(root, number, split)
            content = BAD.get(number)
            path.write_bytes(path.read_bytes()[:-100] if content is None else content)


def pipeline(root, *, is_training=True, workers=2, **options):
    return Pipeline(
        source=create_source("", root, "train" if is_training else "val"),
        transform=create_transforms("", SIZE, is_training, crop_pct=1.0, normalize=False),
        is_training=is_training,
        num_parallel_workers=workers,
        **{"batch_size": 4, **options},
    )


def collect(dataset):
    """The images' numbers and their labels."""
    rows = list(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))
    images, labels = (np.concatenate([row[i] for row in rows]) for i in (0, 1))
    return (images.mean((1, 2, 3)) / 5).round().astype(int), labels


def failure(data):
    """In which words an epoch fails."""
    with pytest.raises(RuntimeError) as caught:
        collect(data.epoch())
    explained = data.explain(caught.value)
    assert isinstance(explained, UserError)
    return str(explained)


def as_floats(data):
    for images, labels in data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True):
        yield images / np.float32(255), labels


def next_readable(order, place):
    rest = [*order[place + 1 :], *order[:place]]
    return next(number for number in rest if number not in BAD)


@pytest.mark.parametrize("epoch", [0, 1])
def test_skipping_trains_on_the_next_readable_image_of_the_order(root, epoch):
    order, _ = collect(pipeline(root, seed=7).epoch(epoch))
    assert sorted(order) == list(range(COUNT))
    spoil(root)
    seen, labels = collect(pipeline(root, seed=7, on_bad_image="skip").epoch(epoch))
    expected = [next_readable(order, i) if n in BAD else n for i, n in enumerate(order)]
    assert seen.tolist() == expected
    assert labels.tolist() == [n // 12 for n in expected]


@pytest.mark.parametrize("workers", [1, 2])
def test_replacing_trains_on_the_next_readable_image_of_the_class(root, workers):
    order, _ = collect(pipeline(root).epoch(0))
    spoil(root, numbers=[*BAD, 23])  # after the last one of a class comes its first
    seen, labels = collect(pipeline(root, on_bad_image="replace", workers=workers).epoch(0))
    others = {3: 5, 4: 5, 15: 16, 23: 12}
    assert seen.tolist() == [others.get(number, number) for number in order]
    assert labels.tolist() == [number // 12 for number in order]


def test_the_augmentation_of_the_other_images_stays_as_it_was(root):
    def erased():
        data = pipeline(root, on_bad_image="replace")
        transform = create_transforms("", SIZE, True, re_prob=1.0, re_value="random", normalize=False)
        data = Pipeline(**{**vars(data), "source": create_source("", root), "transform": transform})
        rows = data.epoch(0).create_tuple_iterator(num_epochs=1, output_numpy=True)
        return np.concatenate([images.copy() for images, _ in rows])

    order, _ = collect(pipeline(root).epoch(0))
    before = erased()
    spoil(root)
    kept = [place for place, number in enumerate(order) if number not in BAD]
    after = erased()
    assert np.array_equal(after[kept], before[kept])
    assert not np.array_equal(after, before)


@pytest.mark.parametrize("mode", ["skip", "replace"])
def test_a_resumed_epoch_sees_what_the_uninterrupted_one_did(root, mode):
    spoil(root)
    whole, _ = collect(pipeline(root, on_bad_image=mode).epoch(2))
    rest, _ = collect(pipeline(root, on_bad_image=mode).epoch(2, skip=3))
    assert rest.tolist() == whole[12:].tolist()


def test_a_run_on_one_dataset_does_the_same(root):
    spoil(root)
    expected, _ = collect(pipeline(root, on_bad_image="skip").epoch(1))
    run = pipeline(root, on_bad_image="skip").run(0).create_tuple_iterator(num_epochs=2, output_numpy=True)
    _, second = ([images.copy() for images, _ in run] for _ in range(2))
    assert (np.concatenate(second).mean((1, 2, 3)) / 5).round().astype(int).tolist() == expected.tolist()


@pytest.mark.parametrize("mode", ["skip", "replace"])
@pytest.mark.parametrize("size", [1, 2])
def test_an_evaluation_leaves_bad_images_out(root, mode, size):
    spoil(root)
    step = EvalStep(nn.SequentialCell(nn.Flatten(), nn.Dense(3 * SIZE**2, 2)), LOSS)
    images = 0
    for rank in range(size):
        data = pipeline(root, is_training=False, on_bad_image=mode, rank=rank, world_size=size)
        seen, labels = collect(data.epoch())
        numbers = range(rank, COUNT, size)
        assert labels.tolist() == [-1 if number in BAD else number // 12 for number in numbers]
        assert seen.tolist() == [0 if number in BAD else number for number in numbers]
        images += evaluate(step, as_floats(data), 4).images
    assert images == COUNT - len(BAD)


@pytest.mark.parametrize(("mode", "outcome"), [("skip", "skipped"), ("replace", "replaced")])
def test_a_training_counts_bad_images_in_each_epoch_and_names_each_once(root, mode, outcome):
    data = pipeline(root, on_bad_image=mode, rank=0, world_size=1)
    collect(data.epoch(0))
    assert data.bad_images() == ""
    spoil(root, numbers=[3])
    line = f"{{}} of {root}/train could not be read: {outcome}{{}}"
    for epoch, tail in ((1, ". a ü/image 03.jpg is empty"), (2, " (named before)")):
        collect(data.epoch(epoch))
        assert data.bad_images() == line.format("1 image", tail)
    spoil(root, numbers=[4])
    collect(data.epoch(3))
    expected = ". a ü/image 04.jpg is not in an image format that MindSpore decodes"
    assert data.bad_images() == line.format("2 images", expected)


@pytest.mark.parametrize("is_training", [True, False])
def test_by_default_a_bad_image_ends_the_epoch_by_name_and_leaves_nothing_behind(root, tmp_path, is_training):
    spoil(root, numbers=[15])
    data = pipeline(root, is_training=is_training)
    path = path_of(root, 15, "train" if is_training else "val")
    assert failure(data) == f"{path} is cut short: remove or replace it, or set on_bad_image to skip"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_several_bad_images_are_named_together(root):
    spoil(root)
    data = pipeline(root, shuffle=False)
    assert failure(data) == (
        f"{', '.join(str(path_of(root, number)) for number in BAD)} cannot be read as images: "
        "remove or replace them, or set on_bad_image to skip"
    )


@pytest.mark.parametrize("mode", ["skip", "replace"])
def test_neither_way_leaves_a_file_in_the_working_directory(root, tmp_path, mode, capfd):
    spoil(root)
    for is_training in (True, False):
        collect(pipeline(root, is_training=is_training, on_bad_image=mode).epoch())
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert "ERROR" not in capfd.readouterr().err


def test_a_file_that_only_the_decoder_refuses_is_named_whatever_the_option(root):
    path_of(root, 2).write_bytes(png(8, 8, b""))  # its checksums are right, and its pixels are missing
    spoil(root, numbers=[3])
    data = pipeline(root, on_bad_image="skip", shuffle=False)
    assert failure(data) == f"{path_of(root, 2)} cannot be decoded: remove or replace it"


@pytest.mark.parametrize("is_training", [True, False])
def test_an_image_of_too_many_pixels_is_a_bad_image_and_is_not_decoded(root, is_training):
    split = "train" if is_training else "val"
    photo = path_of(root, 2, split).read_bytes()
    huge = {2: with_size(photo, 65500, 65500), 5: png(30000, 30000, b""), 9: run_length_bmp(300, 2)}
    huge[13] = huge[9][:18] + np.array([30000, 30000], np.int32).tobytes() + huge[9][26:]
    for number, data in huge.items():
        path_of(root, number, split).write_bytes(data)
    data = pipeline(root, is_training=is_training, on_bad_image="skip", shuffle=False)
    seen, labels = collect(data.epoch())
    if is_training:
        assert set(seen) == set(range(COUNT)) - set(huge)
    else:
        assert np.flatnonzero(labels == -1).tolist() == list(huge)
    limit = "pixels, more than max_image_pixels=67108864"
    assert data.bad_images().split("could not be read: ")[1] == (
        f"{'skipped' if is_training else 'not counted'}. a ü/image 02.jpg has 65500 x 65500 {limit}, "
        f"a ü/image 05.jpg has 30000 x 30000 {limit}, a ü/image 09.jpg has 300 x 2 pixels: one side is more "
        f"than 100 times the other, b/image 13.jpg has 30000 x 30000 {limit}"
    )
    path_of(root, 5, split).unlink()
    failing = pipeline(root, is_training=is_training, shuffle=False, num_samples=3, batch_size=3)
    assert failure(failing) == (
        f"{path_of(root, 2, split)} has 65500 x 65500 {limit}: remove or replace it, "
        "raise max_image_pixels, or set on_bad_image to skip"
    )


def test_the_limit_of_pixels_is_an_option_of_the_source(root):
    Image.new("RGB", (SIZE, SIZE + 1)).save(path_of(root, 7))
    source = create_source("", root, max_image_pixels=SIZE**2)
    data = Pipeline(**{**vars(pipeline(root, on_bad_image="skip")), "source": source})
    assert set(collect(data.epoch())[0]) == set(range(COUNT)) - {7}
    with pytest.raises(UserError, match=r"max_image_pixels=0 is out of range: give 1 to 1073741824 pixels"):
        create_source("", root, max_image_pixels=0)


def test_a_class_without_a_readable_image_cannot_be_replaced_but_skipped(root):
    for number in range(12, COUNT):
        path_of(root, number).write_bytes(b"")
    seen, _ = collect(pipeline(root, on_bad_image="skip").epoch())
    assert set(seen) == set(range(12))
    data = pipeline(root, on_bad_image="replace")
    assert failure(data).startswith(f"no image of class 'b' in {root}/train can be read: ")


def test_a_file_that_vanishes_while_training_is_a_bad_image(root):
    skipping, failing = (pipeline(root, on_bad_image=mode) for mode in ("skip", "fail"))
    path_of(root, 5).unlink()
    seen, _ = collect(skipping.epoch())
    assert set(seen) == set(range(COUNT)) - {5}
    assert skipping.bad_images().endswith("skipped. a ü/image 05.jpg has vanished")
    assert failure(failing) == (
        f"{path_of(root, 5)} has vanished: remove or replace it, or set on_bad_image to skip"
    )


@pytest.mark.parametrize("mode", ["fail", "skip", "replace"])
@pytest.mark.parametrize("is_training", [True, False])
def test_a_folder_that_vanishes_ends_the_epoch_whatever_the_option(root, mode, is_training):
    data = pipeline(root, is_training=is_training, on_bad_image=mode)
    shutil.rmtree(root)
    assert failure(data) == (f"data_dir={data.source.origin} has vanished: is its disk still mounted?")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_a_bad_image(root):
    path_of(root, 5).chmod(0)
    data = pipeline(root, on_bad_image="skip")
    collect(data.epoch())
    assert data.bad_images().endswith("a ü/image 05.jpg cannot be opened (Permission denied)")


def test_a_folder_by_the_name_of_an_image_is_a_bad_image(root):
    path_of(root, 5).unlink()
    path_of(root, 5).mkdir()
    data = pipeline(root, on_bad_image="skip")
    collect(data.epoch())
    assert data.bad_images().endswith("a ü/image 05.jpg cannot be opened (Is a directory)")
