"""`create_loader` and `create_transforms` as MindCV's tutorials use them."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from mindspore.dataset import transforms, vision

from mindcv.data import Augmentation, channel_statistics, create_dataset, create_loader, create_transforms
from mindcv.data.sources.source import ArraySource
from mindcv.errors import UserError

COUNT, CLASSES = 10, 3


def dataset(channels: int = 3, count: int = COUNT):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 16, 16, channels), dtype=np.uint8)
    source = ArraySource("memory", "abc", np.arange(count, dtype=np.int32) % CLASSES, pixels)
    opened = source.dataset(np.arange(count))
    opened.num_classes = lambda: CLASSES
    return opened


def rows(loader):
    iterator = loader.create_tuple_iterator(num_epochs=1, output_numpy=True)
    return [tuple(column.copy() for column in row) for row in iterator]


@pytest.mark.parametrize(("name", "channels"), [("cifar10", 3), ("cifar10", 1), ("mnist", 1), ("mnist", 3)])
@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_images_are_normalized_float32(name, channels, is_training, given):
    statistics = {"mean": (100.0, 110.0, 120.0)[:channels], "std": (50.0, 60.0, 70.0)[:channels]}
    mean, std = statistics.values() if given else channel_statistics(name, channels)

    def batch(**options):
        operators = create_transforms(
            name, 16, is_training, in_channels=channels, hflip=0.0, crop_padding=0, **options
        )
        return rows(create_loader(dataset(1 if name == "mnist" else 3), COUNT, transform=operators))[0][0]

    images, pixels = batch(**(statistics if given else {})), batch(normalize=False)
    assert (images.dtype, images.shape) == (np.float32, (COUNT, channels, 16, 16))
    assert pixels.dtype == np.uint8
    expected = (pixels - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    np.testing.assert_allclose(images, expected, rtol=1e-5, atol=1e-6)


def test_the_operators_end_with_normalize_and_hwc2chw_as_in_mindcv():
    for is_training in (False, True):
        *_, normalize, channels_first = create_transforms("", 32, is_training)
        assert isinstance(normalize, vision.Normalize)
        assert isinstance(channels_first, vision.HWC2CHW)


def test_a_loader_without_a_transform_normalizes_as_for_imagenet(photos):
    images, labels = rows(create_loader(create_dataset("", photos, "val", shuffle=False), 24))[0]
    assert (images.dtype, images.shape) == (np.float32, (24, 3, 224, 224))
    assert labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert -2.2 < images.min() < -1 < 1 < images.max() < 2.7


def test_a_model_trains_and_answers_on_a_loader_as_in_the_tutorials():
    operators = create_transforms("cifar10", 16, True)
    loader = create_loader(dataset(), 5, is_training=True, transform=operators)
    network = nn.SequentialCell(nn.Flatten(), nn.Dense(3 * 16 * 16, CLASSES))
    optimizer = nn.SGD(network.trainable_params(), 0.01)
    model = ms.Model(network, nn.CrossEntropyLoss(), optimizer, metrics={"accuracy"})
    before = network[1].weight.asnumpy().copy()
    model.train(1, loader, dataset_sink_mode=False)
    assert not np.array_equal(network[1].weight.asnumpy(), before)
    images, _ = next(loader.create_tuple_iterator(num_epochs=1))
    assert network(images).shape == (5, CLASSES)
    assert 0 <= model.eval(loader, dataset_sink_mode=False)["accuracy"] <= 1


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("drop_remainder", [False, True])
def test_a_mixing_loader_knows_its_batch_size_and_takes_labels_in_one_hot_form(one_hot, drop_remainder):
    loader = create_loader(
        dataset(),
        4,
        drop_remainder,
        True,
        mixup=1.0,
        transform=create_transforms("cifar10", 16, True),
        target_transform=[transforms.OneHot(CLASSES)] if one_hot else None,
    )
    assert loader.get_batch_size() == 4
    assert loader.get_dataset_size() == (2 if drop_remainder else 3)
    assert loader.get_col_names() == ["image", "label"]
    batches = rows(loader)
    assert [len(labels) for _, labels in batches] == [4, 4] if drop_remainder else [4, 4, 2]
    for images, labels in batches:
        assert images.dtype == labels.dtype == np.float32
        np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    assert not np.isin(batches[0][1], (0, 1)).all()


def test_mixup_of_normalized_images_is_the_weighted_sum_without_rounding():
    def batch(**options):
        operators = create_transforms("cifar10", 16, True, hflip=0.0, crop_padding=0)
        return rows(create_loader(dataset(), COUNT, is_training=True, transform=operators, **options))[0]

    plain, _ = batch()
    mixed, labels = batch(mixup=1.0)
    share = labels[0, 0] if labels[0, 0] < 1 else np.float32(1)  # of labels 0 and 9 % 3 == 0
    np.testing.assert_allclose(share, 1)
    share = labels[1, 1]  # of labels 1 and 8 % 3 == 2
    assert 0 < share < 1
    np.testing.assert_allclose(mixed, share * plain + (1 - share) * plain[::-1], rtol=1e-4, atol=1e-5)


def test_labels_of_another_number_of_classes_are_explained():
    loader = create_loader(
        dataset(),
        4,
        is_training=True,
        mixup=1.0,
        num_classes=5,
        transform=[vision.HWC2CHW()],
        target_transform=[transforms.OneHot(CLASSES)],
    )
    with pytest.raises(RuntimeError, match="num_classes=5 does not fit labels of 3 classes"):
        rows(loader)


@pytest.mark.parametrize("name", ["cifar10", "image_folder"])
def test_separate_transforms_are_a_crop_an_augmentation_and_a_normalization(name):
    first, second, last = create_transforms(
        name, 32, True, "randaug-m9-mstd0.5", separate=True, re_prob=1.0, interpolation="pilbilinear"
    )
    assert [type(operator) for operator in second] == [Augmentation]
    assert [type(operator) for operator in last] == [Augmentation, vision.Normalize, vision.HWC2CHW]
    assert isinstance(first[-1], Augmentation) == (name == "image_folder")
    assert isinstance(create_transforms(name, 32, False, separate=True), list)


@pytest.mark.parametrize("mixup", [0.0, 1.0])
def test_a_separating_loader_yields_clean_images_then_two_augmentations_of_each(mixup):
    def batches(separate, **options):
        operators = create_transforms(
            "cifar10", 16, True, "randaug-m9-mstd0.5-inc1-p1.0", separate, hflip=0.0, crop_padding=0
        )
        if not separate:
            operators = create_transforms("cifar10", 16, True, hflip=0.0, crop_padding=0)
        loader = create_loader(
            dataset(),
            4,
            True,
            True,
            transform=operators,
            separate=separate,
            num_parallel_workers=1,
            **options,
        )
        return loader, rows(loader)

    loader, found = batches(separate=True, mixup=mixup)
    assert loader.get_dataset_size() == len(found) == 2
    assert loader.get_col_names() == ["image", "label"]
    assert [images.shape for images, _ in found] == [(12, 3, 16, 16)] * 2
    if mixup:
        assert {labels.shape for _, labels in found} == {(12, CLASSES)}
        return
    for (images, labels), (clean, certain) in zip(found, batches(separate=False)[1], strict=True):
        np.testing.assert_allclose(images[:4], clean, rtol=1e-6)
        assert labels.tolist() == [*certain] * 3
        assert (images[4:8] != clean).any((1, 2, 3)).sum() >= 2
        assert (images[4:8] != images[8:]).any((1, 2, 3)).sum() >= 2
    for (images, _), (again, _) in zip(found, batches(separate=True)[1], strict=True):
        assert np.array_equal(images, again)


def test_a_separating_loader_needs_three_lists_of_operators():
    with pytest.raises(UserError, match=r"separate=True needs three lists of operators: create_transforms\("):
        create_loader(dataset(), 4, is_training=True, transform=[vision.HWC2CHW()], separate=True)


def test_repeated_augmentation_of_a_dataset_repeats_images_without_a_longer_pass(photos):
    ms.dataset.config.set_seed(1)
    repeated = create_dataset("", photos, "train", num_aug_repeats=3)
    files = [bytes(image) for image, _ in rows(repeated)]
    assert len(files) == repeated.get_dataset_size() == 72
    assert len(set(files)) == 24
    assert all(len(set(files[i : i + 3])) == 1 for i in range(0, 72, 3))
    for off in (0, 1):
        assert len({bytes(image) for image, _ in rows(create_dataset("", photos, num_aug_repeats=off))}) == 72


def test_download_is_accepted_where_the_files_are_and_explained_where_they_are_not(photos, tmp_path):
    assert create_dataset("", photos, "val", download=True).get_dataset_size() == 24
    with pytest.raises(UserError, match=r"image_folder is not downloaded\. .*is not a folder"):
        create_dataset("", tmp_path / "none", download=True)
    with pytest.raises(UserError, match="download=True: imagenet is not downloaded: get it from"):
        create_dataset("imagenet", photos, download=True)
