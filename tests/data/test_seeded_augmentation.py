"""Augmentation in Python: each image's follows from its key alone."""

import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore.dataset import vision
from PIL import Image

from mindcv.data import (
    Augmentation,
    Pipeline,
    channel_statistics,
    create_loader,
    create_transforms,
    epoch_keys,
)
from mindcv.data.seeded_augmentation import generator
from mindcv.data.sources.source import ArraySource
from mindcv.data.transforms import create_augmentation
from mindcv.errors import UserError

COUNT, SIDE = 22, 6
MEAN, STD = channel_statistics("cifar10")


def draw(image, rng):
    """An image of noise: what was drawn is there to see."""
    return Image.fromarray(rng.integers(0, 256, (image.height, image.width, 3), dtype=np.uint8))


def drawn(keys):
    return np.stack([generator(key).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for key in keys])


def source():
    images = (
        np.zeros((COUNT, SIDE, SIDE, 3), np.uint8) + np.arange(COUNT, dtype=np.uint8)[:, None, None, None]
    )
    return ArraySource("memory", "ab", np.arange(COUNT, dtype=np.int32) % 2, images)


def pipeline(transform=None, **options):
    options = {"batch_size": 4, "is_training": True, "seed": 5, "num_parallel_workers": 2, **options}
    transform = transform or [vision.VerticalFlip(), Augmentation([draw]), vision.HWC2CHW()]
    return Pipeline(source=source(), transform=transform, **options)


def collect(dataset, operator_axis=(0, 2, 3, 1)):
    iterator = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True)
    return np.concatenate([images.copy() for images, _ in iterator]).transpose(operator_axis)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_ranks_share_one_list_of_keys(size):
    whole = epoch_keys(24, seed=1, epoch=2)
    for rank in range(size):
        part = epoch_keys(24 // size, seed=1, epoch=2, rank=rank, world_size=size)
        assert np.array_equal(part, whole[rank::size])
    assert np.array_equal(epoch_keys(7, seed=1, epoch=2), whole[:7])


def test_every_place_of_every_epoch_and_seed_has_a_key_of_its_own():
    keys = np.concatenate([epoch_keys(500, seed=s, epoch=e) for s in range(4) for e in range(5)])
    assert len(set(keys.tolist())) == 500 * 4 * 5
    assert keys.dtype == np.int64
    assert keys.min() >= 0


def test_a_key_gives_images_and_batches_other_numbers():
    numbers = [generator(5).random(), generator(6).random(), generator(5, 1).random()]
    assert len(set(numbers)) == 3
    assert generator(np.int64(5)).random() == numbers[0]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("rank", [0, 1])
def test_what_is_drawn_follows_from_seed_epoch_and_place_on_any_number_of_threads(workers, rank):
    data = pipeline(num_parallel_workers=workers, rank=rank, world_size=2)
    for epoch in (0, 3):
        keys = epoch_keys(COUNT // 2, seed=5, epoch=epoch, rank=rank, world_size=2)
        assert np.array_equal(collect(data.epoch(epoch)), drawn(keys))


def test_processes_draw_what_threads_draw():
    data = pipeline(python_multiprocessing=True)
    assert np.array_equal(collect(data.epoch(1)), drawn(epoch_keys(COUNT, seed=5, epoch=1)))


def test_a_resumed_epoch_is_augmented_as_it_would_have_been():
    data = pipeline()
    assert np.array_equal(collect(data.epoch(2, skip=3)), collect(data.epoch(2))[12:])


def test_a_run_on_one_dataset_is_augmented_as_the_epochs_are():
    data = pipeline()
    run = data.run(1).create_tuple_iterator(num_epochs=3, output_numpy=True)
    for epoch in (1, 2, 3):
        images = np.concatenate([images.copy() for images, _ in run]).transpose(0, 2, 3, 1)
        assert np.array_equal(images, drawn(epoch_keys(COUNT, seed=5, epoch=epoch)))


def test_copies_of_an_image_are_augmented_differently():
    images = collect(pipeline(aug_repeats=4).epoch(0))
    assert len({image.tobytes() for image in images}) == COUNT


def test_whole_recipes_repeat_themselves_and_resume_with_mindspores_crops_too():
    transform = create_transforms(
        "cifar10", 16, True, auto_augment="rand-m9-mstd0.5", re_prob=0.5, normalize=False
    )
    data = pipeline(transform, cutmix=1.0, mixup=0.2, aug_repeats=2)
    whole = collect(data.epoch(1))
    assert np.array_equal(collect(data.epoch(1)), whole)
    assert np.array_equal(collect(data.epoch(1, skip=2)), whole[8:])
    assert not np.array_equal(collect(data.epoch(2)), whole)


def test_labels_stay_with_their_images():
    data = pipeline([Augmentation(pixels=[lambda image, rng: image + np.uint8(1)]), vision.HWC2CHW()])
    for images, labels in data.epoch(0).create_tuple_iterator(num_epochs=1, output_numpy=True):
        assert ((images[:, 0, 0, 0] - 1) % 2 == labels).all()


def test_without_augmentation_in_python_there_is_no_key(monkeypatch):
    monkeypatch.setattr(ds, "zip", None)
    plain = pipeline([vision.HWC2CHW()])
    assert plain.epoch(0).get_col_names() == ["image", "label"]
    assert len(collect(plain.epoch(0))) == COUNT
    with pytest.raises(TypeError):
        pipeline().epoch(0)


def test_pictures_come_before_pixels_and_share_the_generator():
    def add(image, rng):
        return image + rng.integers(0, 9, image.shape, dtype=np.uint8)

    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    rng = generator(7)
    expected = rng.integers(0, 256, image.shape, dtype=np.uint8)
    expected = expected + rng.integers(0, 9, image.shape, dtype=np.uint8)
    assert np.array_equal(Augmentation([draw], [add])(image, 7), expected)
    assert not image.any()


def test_a_loader_gives_keys_to_any_dataset_and_each_pass_its_own():
    ds.config.set_seed(4)
    loader = create_loader(
        source().dataset(np.arange(COUNT)), 4, transform=[Augmentation([draw]), vision.HWC2CHW()]
    )
    passes = loader.create_tuple_iterator(num_epochs=2, output_numpy=True)
    for number in range(2):
        images = np.concatenate([images.copy() for images, _ in passes]).transpose(0, 2, 3, 1)
        assert np.array_equal(images, drawn(epoch_keys(COUNT, seed=4, epoch=number)))


def test_in_a_map_of_its_own_it_counts_the_images():
    def images():
        ds.config.set_seed(4)
        data = source().dataset(np.arange(COUNT)).map([Augmentation([draw])], "image", num_parallel_workers=1)
        return [image.tobytes() for image, _ in data.create_tuple_iterator(num_epochs=1, output_numpy=True)]

    assert len(set(images())) == COUNT
    assert images() == images()


POLICIES = {"auto_augment": "randaug-m9-mstd0.5-inc1"}, {"color_jitter": 0.4}, {"re_prob": 1.0}


@pytest.mark.parametrize("options", POLICIES)
@pytest.mark.parametrize(
    ("name", "in_channels"), [("cifar10", 3), ("cifar10", 1), ("mnist", 1), ("mnist", 3)]
)
def test_options_of_the_transforms_reach_the_images(name, in_channels, options):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (16, 16, 16, 1 if name == "mnist" else 3), dtype=np.uint8)
    memory = ArraySource("memory", "a", np.zeros(16, np.int32), pixels)

    def epoch(is_training=True, **options):
        transform = create_transforms(
            name,
            16,
            is_training,
            hflip=0.0,
            crop_padding=0,
            in_channels=in_channels,
            normalize=False,
            **options,
        )
        data = Pipeline(source=memory, transform=transform, batch_size=16, is_training=True)
        return collect(data.epoch(0), (0, 1, 2, 3))

    plain, augmented = epoch(), epoch(**options)
    assert plain.shape == augmented.shape == (16, in_channels, 16, 16)
    assert (plain != augmented).any((1, 2, 3)).sum() > 8
    assert np.array_equal(epoch(is_training=False, **options), epoch(is_training=False))


def test_a_policy_takes_the_place_of_jitter_and_erasing_comes_last():
    def kinds(**options):
        stage = create_augmentation(MEAN, STD, 32, **options)
        return [type(part).__name__ for part in (*stage.pictures, *stage.pixels)]

    assert create_augmentation(MEAN, STD) is None
    assert kinds(color_jitter=0.4, re_prob=0.1) == ["ColorJitter", "RandomErasing"]
    assert len(kinds(auto_augment="rand-m9", color_jitter=0.4, re_prob=0.1)) == 2
    assert kinds(auto_augment="rand-m9", color_jitter=0.4)[0] != "ColorJitter"
    assert kinds(auto_augment="3a", color_jitter=0.4)[1:] == ["ColorJitter"]


def test_jitter_is_one_number_or_three_or_four():
    jitter = create_augmentation(MEAN, STD, color_jitter=0.4).pictures[0]
    assert jitter.brightness == jitter.contrast == jitter.saturation == (0.6, 1.4)
    assert jitter.hue == (0, 0)
    jitter = create_augmentation(MEAN, STD, color_jitter=(0.1, 0.2, 0.3, 0.4)).pictures[0]
    assert (jitter.brightness, jitter.saturation, jitter.hue) == ((0.9, 1.1), (0.7, 1.3), (-0.4, 0.4))
    with pytest.raises(UserError, match=r"color_jitter=\(0.1, 0.2\) has 2 numbers: give one, or three for"):
        create_augmentation(MEAN, STD, color_jitter=(0.1, 0.2))


@pytest.mark.parametrize("in_channels", [1, 3])
def test_policies_and_erasing_fill_with_the_mean_that_is_configured(in_channels):
    mean, std = (10.0, 120.0, 250.0)[:in_channels], (1.0, 2.0, 3.0)[:in_channels]
    operators = create_transforms(
        "", 16, True, "rand-m5", re_prob=0.5, mean=mean, std=std, in_channels=in_channels, normalize=False
    )
    (augmentation,) = (operator for operator in operators if isinstance(operator, Augmentation))
    filled = mean if in_channels == 3 else mean * 3
    assert augmentation.pictures[0].geometry.fill == filled
    assert augmentation.pixels[0].mean.tolist() == list(filled)
    assert augmentation.pixels[0].std.tolist() == list(std if in_channels == 3 else std * 3)
