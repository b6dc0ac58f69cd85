"""`create_dataset` and `create_loader` on an image folder: shards, order and labels."""

import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore.dataset import transforms, vision

from mindcv.data import create_dataset, create_loader, create_transforms
from mindcv.errors import UserError
from tests.support.numbered_images import COUNT, SIZE, collect, identities, write_numbered_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_numbered_images(tmp_path_factory.mktemp("images"))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_unshuffled_dataset_is_sharded_without_loss(folder, size):
    seen = []
    for shard in range(size):
        dataset = create_dataset("imagenet", folder, "val", shuffle=False, num_shards=size, shard_id=shard)
        assert dataset.get_col_names() == ["image", "label"]
        assert dataset.num_classes() == 2
        assert dataset.get_dataset_size() == len(range(shard, COUNT, size))
        seen.append(
            identities(
                collect(
                    create_loader(
                        dataset, 4, transform=create_transforms("", SIZE, crop_pct=1.0, normalize=False)
                    )
                )[0]
            )
        )
    assert seen == [list(range(shard, COUNT, size)) for shard in range(size)]


def test_a_shuffled_dataset_draws_a_new_order_at_each_pass_and_shares_it_out(folder):
    ds.config.set_seed(3)
    shards = [create_dataset("", folder, "train", num_shards=2, shard_id=shard) for shard in range(2)]
    passes = [
        [[bytes(image) for image, _ in rows] for _ in range(2)]
        for rows in (shard.create_tuple_iterator(num_epochs=2, output_numpy=True) for shard in shards)
    ]
    (a_first, a_second), (b_first, b_second) = passes
    assert len({*a_first, *b_first}) == len({*a_second, *b_second}) == COUNT
    assert set(a_first) != set(a_second)


def test_shards_that_make_no_sense_are_refused(folder):
    with pytest.raises(UserError, match="num_shards=2 and shard_id=None go together"):
        create_dataset("", folder, num_shards=2)
    with pytest.raises(UserError, match="shard_id=2 of num_shards=2 has none"):
        create_dataset("", folder, num_shards=2, shard_id=2)
    with pytest.raises(
        UserError, match=rf"num_shards=30 has none of the {COUNT} samples in .*train: use fewer shards"
    ):
        create_dataset("", folder, num_shards=30, shard_id=0)
    with pytest.raises(UserError, match="num_parallel_workers=0 is out of range: give 1 or more"):
        create_dataset("", folder, num_parallel_workers=0)


@pytest.mark.parametrize("shuffle", [True, False])
def test_num_samples_is_the_number_in_each_shard_as_in_mindcv(folder, shuffle):
    shards = [create_dataset("", folder, "val", shuffle, 3, 2, shard) for shard in range(2)]
    seen = [
        bytes(image)
        for shard in shards
        for image, _ in shard.create_tuple_iterator(num_epochs=1, output_numpy=True)
    ]
    assert [shard.get_dataset_size() for shard in shards] == [3, 3]
    assert len(set(seen)) == 6
    sizes = [
        create_dataset("", folder, "val", shuffle, 100, 2, shard).get_dataset_size() for shard in range(2)
    ]
    assert sum(sizes) == COUNT


def test_contradicting_shards_are_also_the_exception_that_mindspore_raises(folder):
    with pytest.raises(RuntimeError, match="go together"):
        create_dataset("", folder, shard_id=0)


def test_a_loader_transforms_labels_too_and_defaults_to_an_image_folders_transforms(folder):
    dataset = create_dataset("", folder, "val", shuffle=False)
    loader = create_loader(dataset, 26, target_transform=transforms.OneHot(2), num_parallel_workers=1)
    images, labels = collect(loader)
    assert images.shape == (COUNT, 3, 224, 224)
    assert labels.tolist() == [[1, 0]] * 13 + [[0, 1]] * 13


def test_a_loader_knows_the_classes_of_its_dataset(folder):
    dataset = create_dataset("", folder, "val")
    assert list(dataset.get_class_indexing().values()) == [0, 1]
    assert create_loader(dataset, 4).num_classes() == 2


def test_an_unknown_name_is_a_folder_of_images_where_there_is_one(folder, tmp_path, caplog):
    assert create_dataset("my_data", folder, "val").get_dataset_size() == COUNT
    assert caplog.messages == [f"dataset='my_data' is unknown: {folder}/val is read as a folder of images"]
    with pytest.raises(NotImplementedError, match="dataset='my_data' is unknown"):
        create_dataset("my_data", tmp_path)


@pytest.mark.parametrize(
    ("given", "made"), [(np.int64, np.int32), (np.uint8, np.int32), (np.float32, np.float32)]
)
def test_a_loader_makes_int32_of_whole_labels_and_takes_one_operator(given, made):
    rows = ds.NumpySlicesDataset(
        (np.zeros((4, 8, 6, 3), np.uint8), np.arange(4, dtype=given)), ["image", "label"]
    )
    images, labels = collect(create_loader(rows, 4, transform=vision.HWC2CHW()))
    assert images.shape == (4, 3, 8, 6)
    assert sorted(labels.tolist()) == [0, 1, 2, 3]
    assert labels.dtype == made


def test_a_loader_needs_a_worker(folder):
    with pytest.raises(ValueError, match="num_parallel_workers=0 is out of range: give 1 or more"):
        create_loader(create_dataset("", folder), 2, num_parallel_workers=0)
