"""Image folders: the order of files and classes, and what is said about a folder that is none."""

import logging

import numpy as np
import pytest
from PIL import Image

from mindcv.data import class_index, create_source
from mindcv.errors import UserError


def write_images(folder, names, size=(5, 4)):
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        Image.new("RGB", size, (i, 2 * i, 3 * i)).save(folder / name)


@pytest.fixture
def pets(tmp_path):
    for split in ("train", "val"):
        for name in ("dog", "cat", "ant"):
            write_images(tmp_path / split / name, ["b.png", "a.jpg", "c.JPEG", "d.bmp"])
    return tmp_path


def rows(dataset):
    return list(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))


def test_classes_and_files_are_sorted_by_name(pets):
    source = create_source("imagenet", pets, "train")
    assert source.classes == ["ant", "cat", "dog"]
    assert source.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert [source.path(i).rsplit("/", 2)[1:] for i in (0, 1, 2, 3, 4, 11)] == [
        ["ant", "a.jpg"],
        ["ant", "b.png"],
        ["ant", "c.JPEG"],
        ["ant", "d.bmp"],
        ["cat", "a.jpg"],
        ["dog", "d.bmp"],
    ]


def test_samples_are_the_files_bytes_and_labels_in_the_order_asked_for(pets):
    source = create_source("image_folder", pets, "val")
    indices = np.random.default_rng(0).permutation(np.tile(np.arange(12), 30))  # more than is read ahead
    samples = rows(source.dataset(indices))
    assert [int(label) for _, label in samples] == source.labels[indices].tolist()
    assert all(label.dtype == np.int32 and label.shape == () for _, label in samples)
    for index, (image, _) in zip(indices, samples, strict=True):
        assert np.array_equal(image, np.fromfile(source.path(index), np.uint8))


def test_a_second_pass_yields_the_same_samples_unless_it_is_given_others(pets):
    source = create_source("", pets, "val")
    for later, offset in ((None, 0), (lambda n: (np.arange(12) + n) % 12, 1)):
        passes = source.dataset(np.arange(12), later=later).create_tuple_iterator(
            num_epochs=2, output_numpy=True
        )
        first, second = ([bytes(image) for image, _ in passes] for _ in range(2))
        assert second == first[offset:] + first[:offset]


def test_only_images_that_mindspore_decodes_are_listed_and_the_log_counts_the_others(pets, caplog):
    for name in ("notes.txt", ".hidden.jpg", "photo.webp"):
        (pets / "train" / "ant" / name).write_bytes(b"no image")
    with caplog.at_level(logging.INFO, "mindcv.data"):
        assert len(create_source("", pets, "train")) == 12
    assert [record.getMessage() for record in caplog.records] == [
        f"skipped 2 files in {pets}/train that are not .jpg, .jpeg, .png, .bmp"
    ]


def test_names_need_not_be_ascii(tmp_path):
    write_images(tmp_path / "train" / "пёс", ["фото 1.png"])
    source = create_source("", tmp_path, "train")
    assert source.classes == ["пёс"]
    (image, label), *rest = rows(source.dataset(np.arange(1)))
    assert (bytes(image[1:4]), int(label), rest) == (b"PNG", 0, [])


def test_an_empty_split_name_takes_the_folders_of_the_root(pets):
    source = create_source("", pets / "val", "")
    assert source.classes == ["ant", "cat", "dog"]
    assert len(source) == 12


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("val", r"val has the class 'bee', which .*train lacks: .*classes\.txt, one per line"),
        ("train", r"train has the class 'bee', which .*val lacks: .*classes\.txt, one per line"),
    ],
)
def test_a_class_in_one_split_only_is_named(pets, extra, message):
    write_images(pets / extra / "bee", ["a.png"])
    for split in ("train", "val"):
        with pytest.raises(UserError, match=message):
            create_source("imagenet", pets, split)


def test_splits_may_have_other_names(pets):
    (pets / "train").rename(pets / "learn")
    write_images(pets / "learn" / "bee", ["a.png"])
    with pytest.raises(UserError, match=r"learn has the class 'bee', which .*val lacks"):
        create_source("", pets, "val", splits=("learn", "val"))


def test_a_lone_split_gives_the_order_itself(pets):
    (pets / "train").rename(pets / "elsewhere")
    assert class_index(pets, "train", "val") == ["ant", "cat", "dog"]
    assert len(create_source("", pets, "val")) == 12


def test_a_third_split_must_have_the_same_classes(pets):
    write_images(pets / "test" / "ant", ["a.png"])
    with pytest.raises(UserError, match=r"train has the class 'cat', 'dog', which .*test lacks"):
        create_source("", pets, "test")


def test_classes_file_states_the_order_and_lets_splits_lack_classes(pets):
    write_images(pets / "train" / "bee", ["a.png"])
    (pets / "classes.txt").write_text("dog\nbee\n\ncat\nant\nyak\n")
    for split, labels in (("train", [0, 1, 2, 3]), ("val", [0, 2, 3])):
        source = create_source("imagenet", pets, split)
        assert source.classes == ["dog", "bee", "cat", "ant", "yak"]
        assert sorted(set(source.labels.tolist())) == labels
    assert source.path(0).endswith("/val/dog/a.jpg")


def test_a_folder_that_the_classes_file_lacks_is_named(pets):
    (pets / "classes.txt").write_text("dog\ncat\n")
    with pytest.raises(UserError, match=r"classes.txt lacks 'ant' of .*train: add a line"):
        create_source("imagenet", pets, "val")


@pytest.mark.parametrize(("text", "message"), [("a\nb\na\n", "lists 'a' more than once"), ("\n", "is empty")])
def test_a_wrong_classes_file_is_explained(pets, text, message):
    (pets / "classes.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        class_index(pets, "train")


def test_a_class_without_an_image_is_an_error_unless_the_classes_file_states_it(pets):
    (pets / "train" / "bee").mkdir()
    (pets / "val" / "bee").mkdir()
    with pytest.raises(UserError, match="train holds no image of class 'bee': add some"):
        create_source("", pets, "train")
    (pets / "classes.txt").write_text("ant\nbee\ncat\ndog\n")
    assert set(create_source("", pets, "train").labels.tolist()) == {0, 2, 3}


def test_the_message_about_another_folder_shows_the_layout(tmp_path, pets):
    for root in (tmp_path / "nowhere", tmp_path / "train" / "ant"):
        with pytest.raises(UserError, match=r"should hold one folder per class, as in .*CLASS/IMAGE.jpg"):
            create_source("imagenet", root, "train")
    with pytest.raises(UserError, match="test is not a folder of images"):
        create_source("imagenet", pets, "test")


@pytest.mark.parametrize("level", ["above", "below"])
def test_a_folder_one_level_off_is_answered_with_the_one_that_was_meant(tmp_path, level):
    meant = tmp_path / "pets"
    write_images(meant / "train" / "cat", ["a.png"])
    (tmp_path / "notes.txt").touch()
    root = tmp_path if level == "above" else meant / "train"
    with pytest.raises(UserError) as refused:
        create_source("imagenet", root, "train")
    assert str(refused.value) == (
        f"{root}/train is not a folder of images: did you mean data_dir={meant}, which holds train?"
    )


def test_no_folder_is_suggested_where_several_could_be_meant(tmp_path):
    for name in ("pets", "birds"):
        write_images(tmp_path / name / "train" / "cat", ["a.png"])
    with pytest.raises(UserError, match=r"should hold one folder per class, as in .*CLASS/IMAGE.jpg"):
        create_source("imagenet", tmp_path, "train")


def test_the_message_about_folders_without_images_lists_the_formats(tmp_path):
    (tmp_path / "train" / "ant").mkdir(parents=True)
    (tmp_path / "train" / "ant" / "a.webp").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=r"holds no image: MindSpore reads .jpg, .jpeg, .png, .bmp files"):
        create_source("", tmp_path, "train")


def test_a_missing_folder_name_and_an_unknown_dataset_are_explained(tmp_path):
    with pytest.raises(UserError, match="data_dir is not set: give the folder of dataset=imagenet"):
        create_source("ImageNet")
    with pytest.raises(UserError, match=r"dataset='cifar11' is unknown: .*; did you mean 'cifar10'?"):
        create_source("cifar11", tmp_path)
