"""The network's labels and the images' are of the same classes, matched by name."""

import shutil

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv import build, create_model
from mindcv.build.class_names import (
    check_teacher_classes,
    match_classifier,
    match_labels,
    relabelled,
    scored_classes,
)
from mindcv.config import Config, load_config
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


def test_classes_without_names_are_taken_in_order_which_is_said(caplog):
    config = load_config(["--ckpt_path", "net.ckpt"])
    with caplog.at_level("WARNING", "mindcv.build"):
        assert scored_classes(config, [], folder("b", "a")) == ["b", "a"]
    assert caplog.messages == [
        "net.ckpt: stores no class names; its outputs are taken for the 2 classes of val in their order"
    ]


class Network(nn.Cell):
    """Ends in a classifier of two layers, whose last one has a row per class: 0, 1, ..."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        rows = Tensor(np.arange(outputs, dtype=np.float32))
        self.classifier = nn.SequentialCell(
            nn.Dense(4, 3), nn.Dense(3, outputs, weight_init=rows[:, None].tile((1, 3)), bias_init=rows)
        )

    def rows(self) -> list[int]:
        last = self.classifier[-1]
        assert (last.bias.asnumpy() == last.weight.asnumpy().T).all()
        return last.bias.asnumpy().astype(int).tolist()


def started_from(path, stored, found, outputs, **options) -> list[int]:
    """Rows of a classifier for the stored classes, once it is to be trained on those that are found."""
    write_checkpoint(path, {"w": ms.Tensor([1.0])}, {"classes": list(stored), "config": options})
    config = Config.from_options({"ckpt_path": str(path)})
    network = Network(outputs)
    hidden = network.classifier[0].weight.asnumpy()
    match_classifier(config, network, list(found))
    np.testing.assert_array_equal(network.classifier[0].weight.asnumpy(), hidden)
    return network.rows()


@pytest.mark.parametrize(
    ("stored", "found", "rows"),
    [
        ("abc", "abc", [0, 1, 2]),
        ("abc", "cab", [2, 0, 1]),
        ("abc", "ab", [0, 1, 2]),
        ("abc", "bc", [1, 2, 0]),
        ("ab", "abc", [0, 1, 2]),
        ("", "ab", [0, 1, 2]),
    ],
)
def test_training_starts_with_each_output_for_the_class_that_it_knows(stored, found, rows, tmp_path):
    assert started_from(tmp_path / "net.ckpt", stored, found, 3) == rows


def test_training_does_not_start_from_a_classifier_that_lacks_a_class(tmp_path):
    with pytest.raises(UserError) as caught:
        started_from(tmp_path / "net.ckpt", "abc", "axc", 3)
    assert str(caught.value) == (
        f"{tmp_path}/net.ckpt: its classifier lacks 1 of the images' 3 classes, such as 'x': "
        "train a new one with new_classifier=True"
    )
    with pytest.raises(UserError, match="lacks 1 of the images' 4 classes, such as 'x'"):
        started_from(tmp_path / "net.ckpt", "abc", "axbc", 4)


def test_numbers_that_a_mindrecord_file_gives_its_classes_are_no_names(tmp_path):
    assert started_from(tmp_path / "net.ckpt", "012", "cab", 3, dataset="mindrecord") == [0, 1, 2]
    assert build.load_stored_config(["--ckpt_path", str(tmp_path / "net.ckpt")])[1] == []


def test_names_that_a_list_beside_a_mindrecord_file_gives_its_classes_are_names(tmp_path):
    assert started_from(tmp_path / "net.ckpt", "abc", "cab", 3, dataset="mindrecord") == [2, 0, 1]
    assert build.load_stored_config(["--ckpt_path", str(tmp_path / "net.ckpt")])[1] == ["a", "b", "c"]


def test_published_weights_start_on_a_part_of_imagenet_with_its_outputs():
    network, ids = Network(1000), list(imagenet_classes())
    config = Config.from_options({"pretrained": True, "num_classes": 1000})
    match_classifier(config, network, [ids[3], ids[999]])
    assert network.rows()[:5] == [3, 999, 0, 1, 2]
    with pytest.raises(UserError, match="mnasnet_100, pretrained: its classifier lacks 2 of the images' 2"):
        match_classifier(config, network, ["cat", "dog"])


def test_weights_that_come_with_a_runs_state_hint_at_resuming_it(tmp_path, caplog):
    path, network = tmp_path / "net.ckpt", create_model("mnasnet_small", num_classes=2)
    options = {"ckpt_path": str(path), "model": "mnasnet_small"}
    metadata: dict[str, object] = {"classes": ["b", "a"]}
    for progress in ({}, {"progress": {}}):
        write_checkpoint(path, network.parameters_dict(), metadata | progress)
        with caplog.at_level("INFO", "mindcv.build"):
            caplog.clear()
            started = build.build_network(Config.from_options(options), ["a", "b"], ALONE, is_training=True)
        hint = [f"{path}: its weights start a new run; --resume {path} would continue its own"]
        matched = f"{path}: the outputs of its classifier are sorted by the names of the images' classes"
        assert caplog.messages == [*(hint if progress else []), matched]
        rows = (net.get_classifier().weight.asnumpy() for net in (network, started))
        np.testing.assert_array_equal(next(rows), next(rows)[::-1])


def test_outputs_without_images_are_mentioned(photos, caplog):
    argv = ["--data_dir", str(photos), "--image_resize", "32", "--batch_size", "8"]
    with caplog.at_level("WARNING", "mindcv.build"):
        build.build_training_data(load_config([*argv, "--num_classes", "3"]), ALONE)
        build.build_training_data(load_config([*argv, "--num_classes", "1000"]), ALONE)
    assert caplog.messages == [
        f"num_classes=1000, and {photos}/train has 3 classes: the other outputs have no images"
    ]


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
