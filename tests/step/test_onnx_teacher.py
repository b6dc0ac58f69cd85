"""A teacher from an ONNX file, against NumPy and through real pipelines."""

import sys

import mindspore.dataset as ds
import numpy as np
import onnx
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper

from mindcv.data import OnnxTeacher, Pipeline, create_source, create_transforms, with_teacher
from mindcv.errors import UserError

CLASSES, SIZE = 3, 16
MEAN, STD = [120.0, 110.0, 100.0], [60.0, 55.0, 50.0]
RNG = np.random.default_rng(0)
KERNEL = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)
WEIGHT = RNG.standard_normal((4, CLASSES)).astype(np.float32)
BIAS = RNG.standard_normal(CLASSES).astype(np.float32)
NODES = (
    helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
    helper.make_node("Conv", ["x", "kernel"], ["features"]),
    helper.make_node("Relu", ["features"], ["active"]),
    helper.make_node("GlobalAveragePool", ["active"], ["mean"]),
    helper.make_node("Flatten", ["mean"], ["flat"]),
    helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"]),
)
CONSTANTS = {
    "kernel": KERNEL,
    "weight": WEIGHT,
    "bias": BIAS,
    "all": np.ones(CLASSES, bool),
    "wrong": np.array([1, -1, CLASSES]),
}
IMAGES = RNG.integers(0, 256, (5, 3, SIZE, SIZE)).astype(np.uint8)


@pytest.fixture
def export(tmp_path):
    """Writes a classifier: convolution, ReLU, global average and a dense layer."""

    def write(shape=("n", 3, "h", "w"), dtype=TensorProto.FLOAT, nodes=NODES, outputs=("logits",)):
        graph = helper.make_graph(
            nodes,
            "classifier",
            [helper.make_tensor_value_info("image", dtype, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in CONSTANTS.items()],
        )
        path = tmp_path / "teacher.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    return write


def load(path, num_classes=CLASSES):
    return OnnxTeacher(path, mean=MEAN, std=STD, num_classes=num_classes)


def classify(x):
    windows = sliding_window_view(x.astype(np.float64), (3, 3), axis=(2, 3))
    features = np.einsum("nchwij,ocij->nohw", windows, KERNEL.astype(np.float64))
    return np.maximum(features, 0).mean(axis=(2, 3)) @ WEIGHT + BIAS


def normalized(images):
    return (images - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))


def test_float_images_are_normalised_and_classified_as_numpy_does(export):
    teacher = load(export())
    for images in (IMAGES, IMAGES[:2], IMAGES[:, :, :9, :12]):
        logits = teacher(images)
        assert (logits.shape, logits.dtype) == ((len(images), CLASSES), np.float32)
        np.testing.assert_allclose(logits, classify(normalized(images)), atol=1e-5)


def test_a_model_of_uint8_images_gets_them_as_they_are(export):
    logits = load(export(dtype=TensorProto.UINT8))(IMAGES)
    np.testing.assert_allclose(logits, classify(IMAGES), rtol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_fixed_batch_size_gets_pieces_of_that_size(export, size):
    teacher = load(export((size, 3, SIZE, SIZE)))
    np.testing.assert_allclose(teacher(IMAGES), classify(normalized(IMAGES)), atol=1e-5)


def test_the_same_images_give_the_same_logits_to_the_last_bit(export):
    first, *others = (load(export()) for _ in range(3))
    expected = first(IMAGES)
    for teacher in (first, *others):
        np.testing.assert_array_equal(teacher(IMAGES), expected)


def test_a_pipeline_brings_the_logits_of_the_images_that_the_student_sees(export, photos):
    pipeline = Pipeline(
        source=create_source("", str(photos), "train"),
        transform=create_transforms("", image_resize=SIZE, is_training=True, normalize=False),
        batch_size=20,
        is_training=True,
        seed=7,
        num_parallel_workers=1,
    )
    teacher = load(export((4, 3, SIZE, SIZE)))
    teacher.check(batch_size=20, image_resize=SIZE)
    session = teacher.session
    seen = []
    for epoch in range(2):
        plain = pipeline.epoch(epoch).create_tuple_iterator(num_epochs=1, output_numpy=True)
        expected = [(image.copy(), label.copy()) for image, label in plain]
        dataset = with_teacher(pipeline.epoch(epoch), teacher)
        assert dataset.get_col_names() == ["image", "label", "teacher"]
        batches = list(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))
        assert [len(image) for image, _, _ in batches] == [20, 20, 20, 12]
        for (image, label, logits), (plain_image, plain_label) in zip(batches, expected, strict=True):
            np.testing.assert_array_equal(image, plain_image)
            np.testing.assert_array_equal(label, plain_label)
            assert (image.dtype, label.dtype, logits.dtype) == (np.uint8, np.int32, np.float32)
            np.testing.assert_allclose(logits, classify(normalized(image)), atol=1e-5)
        seen.append(batches[0][0])
    assert (seen[0] != seen[1]).any()
    assert teacher.session is session


def test_labels_that_are_probabilities_pass_through(export):
    labels = RNG.random((5, CLASSES)).astype(np.float32)
    dataset = ds.NumpySlicesDataset((IMAGES, labels), ["image", "label"], shuffle=False).batch(5)
    (batch,) = with_teacher(dataset, load(export())).create_tuple_iterator(num_epochs=1, output_numpy=True)
    np.testing.assert_array_equal(batch[1], labels)
    np.testing.assert_allclose(batch[2], classify(normalized(IMAGES)), atol=1e-5)


def message(call, path=None):
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (
            {"dtype": TensorProto.DOUBLE},
            "the teacher takes tensor(double): export it with float32 or uint8 images",
        ),
        (
            {"outputs": ("flat",)},
            "the teacher returns 4 logits, not num_classes=3: use a teacher of the same classes",
        ),
        (
            {"outputs": ("logits", "flat")},
            "the teacher has 1 inputs and 2 outputs: "
            "export it with images as the only input and logits as the only output",
        ),
        (
            {
                "shape": ("n", 3, "l"),
                "nodes": [helper.make_node("ReduceMean", ["image"], ["logits"], axes=[2], keepdims=0)],
            },
            "the teacher takes an input of 3 dimensions: export it with images [N, C, H, W]",
        ),
    ],
)
def test_a_file_that_is_no_such_teacher_is_refused_when_it_is_loaded(export, model, problem):
    path = export(**model)
    assert message(lambda: load(path), path) == problem


@pytest.mark.parametrize(
    ("shape", "batch", "problem"),
    [
        (
            (8, 3, 16, 16),
            {"batch_size": 12},
            "the teacher takes 8 images at a time, and batch_size=12 is not a multiple: "
            "set batch_size=16 or export it with a free batch size",
        ),
        (
            ("n", 3, 32, 32),
            {},
            "the teacher takes images of 32 x 32 pixels, not 16 x 16: "
            "train at its size (image_resize, progressive_sizes) or export it for any size",
        ),
        (
            ("n", 3, "h", 32),
            {},
            "the teacher takes images of any x 32 pixels, not 16 x 16: "
            "train at its size (image_resize, progressive_sizes) or export it for any size",
        ),
        (
            ("n", 3, "h", "w"),
            {"in_channels": 1},
            "the teacher takes images of 3 channels, not in_channels=1: "
            "export it with such images, [N, C, H, W]",
        ),
    ],
)
def test_images_that_do_not_fit_are_refused_before_the_training(export, shape, batch, problem):
    path = export(shape)
    teacher = load(path)
    call = {"batch_size": 4, "image_resize": 16, "in_channels": 3, **batch}
    assert message(lambda: teacher.check(**call), path) == problem


def test_classes_that_the_file_does_not_declare_are_counted_by_the_check(export):
    path = export(
        nodes=[*NODES, helper.make_node("Compress", ["logits", "all"], ["kept"], axis=1)], outputs=["kept"]
    )
    load(path).check(batch_size=2, image_resize=SIZE)
    teacher = load(path, num_classes=10)
    assert message(lambda: teacher.check(batch_size=2, image_resize=SIZE), path) == (
        "the teacher returns 3 logits, not num_classes=10: use a teacher of the same classes"
    )


def test_logits_of_another_shape_are_refused(export):
    path = export(
        nodes=[*NODES, helper.make_node("Reshape", ["logits", "wrong"], ["shaped"])], outputs=["shaped"]
    )
    assert message(lambda: load(path).check(batch_size=2, image_resize=SIZE), path) == (
        "the teacher returns [1, 2, 3] for 2 images: "
        "export it with logits [N, num_classes] and a free batch size"
    )


def test_images_that_only_the_model_itself_refuses_are_named(export):
    path = export()
    found = message(lambda: load(path).check(batch_size=4, image_resize=2), path)
    assert found.startswith("the teacher cannot run on images [4, 3, 2, 2] (")
    assert "running Conv node" in found
    assert found.endswith("): check the file")


def test_a_missing_and_a_broken_file_are_named(tmp_path):
    path = tmp_path / "teacher.onnx"
    assert message(lambda: load(path)) == f"{path}: no such ONNX file: check the path"
    for content, reason in (
        (b"no model", "Protobuf parsing failed"),
        (b"", "No graph was found in the protobuf"),
    ):
        path.write_bytes(content)
        assert message(lambda: load(path)) == f"{path}: cannot be loaded ({reason}): check the file"


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert message(lambda: load("teacher.onnx")) == (
        "teacher.onnx: an ONNX file needs a package: pip install onnxruntime"
    )
