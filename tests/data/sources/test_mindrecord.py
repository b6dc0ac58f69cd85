"""MindRecord: a round trip through MindSpore's own writer."""

import io

import numpy as np
import pytest
from mindspore.dataset import vision
from mindspore.mindrecord import FileWriter
from PIL import Image

from mindcv.data import (
    Augmentation,
    Pipeline,
    create_dataset,
    create_source,
    create_transforms,
    epoch_indices,
    epoch_keys,
)
from mindcv.data.seeded_augmentation import generator
from mindcv.errors import UserError

COUNT = 21
LABELS = [i % 5 for i in range(COUNT)]


def png(value):
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (value, value, value)).save(data, "PNG")
    return data.getvalue()


def write_records(path, *, image="data", label="label", label_type="int64", shards=1, labels=LABELS):
    writer = FileWriter(str(path), shard_num=shards)
    writer.add_schema({image: {"type": "bytes"}, label: {"type": label_type}})
    writer.write_raw_data([{image: png(i), label: labels[i]} for i in range(COUNT)])
    writer.commit()


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    root = tmp_path_factory.mktemp("records")
    write_records(root / "train.mindrecord", shards=3)
    write_records(root / "val.mindrecord", image="image", label_type="int32")
    return root


def evaluated(source, **options):
    pipeline = Pipeline(
        source=source,
        transform=create_transforms("mindrecord", 8, crop_pct=1.0, normalize=False),
        batch_size=4,
        **options,
    )
    batches = list(pipeline.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True))
    images = np.concatenate([image for image, _ in batches])
    labels = np.concatenate([label for _, label in batches])
    return images, labels


@pytest.mark.parametrize("split", ["train", "val"])
def test_samples_come_back_with_their_labels_in_any_order(records, split):
    source = create_source("mindrecord", records, split)
    assert len(source) == COUNT
    indices = np.random.default_rng(0).permutation(COUNT)
    rows = list(source.dataset(indices).create_tuple_iterator(num_epochs=1, output_numpy=True))
    assert [int(label) for _, label in rows] == source.labels[indices].tolist()
    assert all(label.dtype == np.int32 for _, label in rows)
    values = [np.asarray(Image.open(io.BytesIO(image.tobytes())))[0, 0, 0] for image, _ in rows]
    assert [LABELS[value] for value in values] == source.labels[indices].tolist()
    assert sorted(values) == list(range(COUNT))


def test_a_single_file_or_a_folder_of_files_will_do(records, tmp_path):
    assert len(create_source("mindrecord", records / "val.mindrecord", "anything")) == COUNT
    (tmp_path / "train").mkdir()
    write_records(tmp_path / "train" / "part.mindrecord", shards=2)
    assert len(create_source("mindrecord", tmp_path, "train")) == COUNT
    assert len(create_source("mindrecord", tmp_path / "train", "")) == COUNT


@pytest.mark.parametrize("size", [1, 2, 3])
def test_evaluation_sees_every_record_once_on_any_number_of_ranks(records, size):
    source = create_source("mindrecord", records, "train")
    parts = [evaluated(source, rank=rank, world_size=size) for rank in range(size)]
    images = np.concatenate([images for images, _ in parts])
    labels = np.concatenate([labels for _, labels in parts])
    assert images.shape == (COUNT, 3, 8, 8)
    assert sorted(images[:, 0, 0, 0]) == list(range(COUNT))
    assert [LABELS[image[0, 0, 0]] for image in images] == labels.tolist()


def test_classes_are_counted_from_the_labels(records):
    assert create_source("mindrecord", records, "train").classes == ["0", "1", "2", "3", "4"]
    assert create_dataset("mindrecord", records, "train").num_classes() == 5


def test_a_label_beyond_the_networks_outputs_is_refused(records):
    source = create_source("mindrecord", records, "train")
    assert len(evaluated(source, num_classes=5)[1]) == COUNT
    with pytest.raises(UserError, match=r"num_classes=4 is too small: .* has 5 classes, so give 5 or more"):
        evaluated(source, num_classes=4)


@pytest.mark.parametrize("label", [-1, 2**31, 2**40])
def test_the_message_about_a_label_out_of_range_names_it(tmp_path, label):
    write_records(tmp_path / "train.mindrecord", labels=[*LABELS[1:], label])
    with pytest.raises(UserError, match=rf"train.mindrecord has the label {label}: give labels from 0 on"):
        evaluated(create_source("mindrecord", tmp_path, "train"), num_classes=5)


@pytest.mark.parametrize("mode", ["skip", "replace"])
def test_images_that_mindspore_reads_itself_cannot_be_skipped(records, mode):
    source = create_source("mindrecord", records, "train")
    message = rf"on_bad_image={mode} needs images that are files, and MindSpore reads .*: leave it at fail"
    with pytest.raises(UserError, match=message):
        evaluated(source, on_bad_image=mode)


def test_a_shuffled_dataset_is_in_a_new_order_at_each_pass(records):
    dataset = create_dataset("mindrecord", records, "val", shuffle=True)
    passes = dataset.create_tuple_iterator(num_epochs=2, output_numpy=True)
    first, second = ([image.tobytes() for image, _ in passes] for _ in range(2))
    assert first != second
    assert sorted(first) == sorted(second)


def test_augmentation_in_python_follows_from_an_images_place(records):
    def constant(image, rng):
        return np.full_like(image, rng.integers(256))

    source = create_source("mindrecord", records, "train")
    opened, channels_first = (
        create_transforms("mindrecord", 8, crop_pct=1.0, normalize=False),
        vision.HWC2CHW(),
    )
    data = Pipeline(
        source=source,
        transform=[*opened[:-1], Augmentation(pixels=[constant]), channels_first],
        batch_size=4,
        is_training=True,
        seed=3,
        mixup=1.0,
        mixup_off_epoch=1,
    )
    for epoch, rows in ((1, data.epoch(1)), (2, data.epoch(2))):
        keys = epoch_keys(COUNT, seed=3, epoch=epoch)
        batches = list(rows.create_tuple_iterator(num_epochs=1, output_numpy=True))
        values = np.concatenate([images[:, 0, 0, 0] for images, _ in batches])
        assert values.tolist() == [generator(key).integers(256) for key in keys]
        labels = np.concatenate([labels.argmax(1) for _, labels in batches])
        assert labels.tolist() == source.labels[epoch_indices(COUNT, seed=3, epoch=epoch)].tolist()
    run = data.run(1).create_tuple_iterator(num_epochs=2, output_numpy=True)
    for epoch in (1, 2):
        values = np.concatenate([images[:, 0, 0, 0].copy() for images, _ in run])
        assert values.tolist() == [
            generator(key).integers(256) for key in epoch_keys(COUNT, seed=3, epoch=epoch)
        ]


def test_repeated_images_in_one_dataset_for_all_epochs_are_refused(records):
    data = Pipeline(
        source=create_source("mindrecord", records, "train"),
        transform=create_transforms("mindrecord", 8, True, normalize=False),
        batch_size=4,
        is_training=True,
        aug_repeats=3,
    )
    assert data.epoch(0).get_dataset_size() == data.steps_per_epoch == 6
    with pytest.raises(
        UserError, match="aug_repeats=3 with dataset_sink_mode would train on the same images"
    ):
        data.run()


def test_missing_files_and_columns_are_named(records, tmp_path):
    with pytest.raises(UserError, match=r"no MindRecord of split='test': .*test.mindrecord is expected"):
        create_source("mindrecord", records, "test")
    write_records(tmp_path / "train.mindrecord", label="target")
    with pytest.raises(UserError, match="has the columns data, target: it needs 'label'"):
        create_source("mindrecord", tmp_path, "train")
