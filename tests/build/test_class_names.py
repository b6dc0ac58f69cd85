"""The network's labels and the images' are of the same classes, matched by name."""

import shutil

import mindspore as ms
import numpy as np
import pytest

from mindcv import build
from mindcv.build.class_names import check_teacher_classes, match_labels, relabelled, scored_classes
from mindcv.config import load_config
from mindcv.data import imagenet_classes
from mindcv.data.sources.source import ArraySource
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.runtime.session import Runtime

ALONE = Runtime(device="CPU", rank=0, world_size=1)


def folder(*classes: str) -> ArraySource:
    labels = np.arange(len(classes), dtype=np.int32)
    return ArraySource("val", classes, labels, np.zeros((len(classes), 8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    ("found", "known", "labels"),
    [
        ("ab", "ab", None),
        ("ab", "abc", None),
        ("bc", "abc", [1, 2]),
        ("ab", "ba", [1, 0]),
        ("c", "abc", [2]),
    ],
)
def test_classes_are_matched_by_name(found, known, labels):
    matched = match_labels(folder(*found), list(known), "net.ckpt")
    assert labels == (None if matched is None else matched.tolist())


def test_what_cannot_be_matched_is_refused_in_one_line():
    with pytest.raises(UserError) as caught:
        match_labels(folder("a", "x", "y"), ["a", "b"], "net.ckpt")
    assert str(caught.value) == (
        "val: 2 of its 3 classes, such as 'x', are not among the 2 of net.ckpt, such as 'a': rename the "
        "folders, or give a data_dir with the same classes"
    )


def test_an_image_that_does_not_count_keeps_its_negative_label():
    batch = np.zeros((3, 1)), np.array([1, -1, 0], np.int32)
    ((_, labels),) = relabelled([batch], np.array([5, 7], np.int32))
    assert (labels.tolist(), labels.dtype) == ([7, -1, 5], np.int32)


def test_a_part_of_imagenet_is_matched_by_wordnet_id():
    ids = list(imagenet_classes())
    part = folder(ids[3], ids[999])
    for argv in (["--pretrained", "true"], ["--num_classes", "1000"]):
        known = scored_classes(load_config(argv), [], part)
        assert match_labels(part, known, "mnasnet_100").tolist() == [3, 999]
    assert scored_classes(load_config([]), [], part) == list(part.classes)
    assert scored_classes(load_config([]), ["x"], part) == ["x"]


@pytest.mark.parametrize("stored", [[], ["a", "b"]])
def test_a_teacher_of_the_same_or_unknown_classes_is_accepted(tmp_path, stored):
    check_teacher_classes(_with_teacher(tmp_path, stored), ["a", "b"])


@pytest.mark.parametrize(("stored", "shown"), [(["b", "a"], "'b' for 'a'"), (["a"], "'1' for '2 classes'")])
def test_a_teacher_of_other_classes_is_refused(tmp_path, stored, shown):
    with pytest.raises(UserError, match=f"its classes are not those of the images, it has {shown}: use a"):
        check_teacher_classes(_with_teacher(tmp_path, stored), ["a", "b"])


def test_a_folder_with_some_of_the_classes_scores_the_same_images_right(photos, tmp_path):
    """Each class alone scores what it contributes to the score of all: no label is shifted."""
    classes = [path.name for path in sorted((photos / "val").iterdir())]
    argv = ["--model", "mnasnet_small", "--dataset", "image_folder", "--image_resize", "32"]

    def right(data_dir) -> int:
        config = load_config([*argv, "--num_classes", str(len(classes)), "--data_dir", str(data_dir)])
        ms.set_seed(1)
        network = build.build_network(config, classes, ALONE)
        data = build.build_validation_data(config, ALONE)
        return build.build_evaluation(config, network, data, ALONE, classes=classes)().top1

    alone = []
    for name in classes:
        shutil.copytree(photos / "val" / name, tmp_path / name / "val" / name)
        alone.append(right(tmp_path / name))
    assert sum(alone) == right(photos)
    (tmp_path / classes[0] / "val" / classes[0]).rename(tmp_path / classes[0] / "val" / "other")
    with pytest.raises(UserError, match="1 of its 1 classes, such as 'other', are not among the 3 of"):
        right(tmp_path / classes[0])


def _with_teacher(parent, stored):
    path = parent / "teacher.ckpt"
    write_checkpoint(path, {"w": ms.Tensor([1.0])}, {"classes": stored})
    return load_config(["--teacher", "mnasnet_050", "--teacher_ckpt_path", str(path)])
