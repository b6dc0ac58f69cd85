"""The most probable classes of images, and their tables."""

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from mindcv.data import ImageFile
from mindcv.errors import NotFiniteError, UserError
from mindcv.inference import (
    Classifier,
    ClassScore,
    Prediction,
    PredictionWriter,
    even_batch_size,
    open_writer,
    top_k,
)

RNG = np.random.default_rng(0)
NAMES = ["Äpfel 苹果", 'a "quoted", name', "sky"]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.longdouble))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float64)


def images(*values: int | None) -> list[ImageFile]:
    """Images of one grey value each; None is a file that cannot be read."""
    return [
        ImageFile(path=f"{i}.png", problem=f"{i}.png is damaged")
        if value is None
        else ImageFile(path=f"{i}.png", pixels=np.full((3, 2, 2), value, np.uint8))
        for i, value in enumerate(values)
    ]


class Brightness:
    """A network of three classes whose logits follow from an image's first pixel; it keeps its batches."""

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.batches.append(pixels)
        first = pixels[:, 0, 0, 0].astype(np.float32)
        return np.stack([first / 100, np.ones_like(first), 2 - first / 100], axis=1)


# --- classes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 30, 3000])
def test_probabilities_are_the_softmax_of_all_classes_in_falling_order(scale):
    logits = (scale * RNG.standard_normal((7, 40))).astype(np.float32)
    indices, probabilities = top_k(logits, 40)
    expected = softmax(logits)
    np.testing.assert_allclose(np.take_along_axis(expected, indices, 1), probabilities, rtol=1e-12)
    assert (np.diff(probabilities) <= 0).all()
    assert (np.sort(indices) == np.arange(40)).all()
    few, their_probabilities = top_k(logits, 3)
    np.testing.assert_array_equal(few, indices[:, :3])
    np.testing.assert_array_equal(their_probabilities, probabilities[:, :3])


def test_of_equal_logits_the_first_class_comes_first():
    indices, probabilities = top_k(np.array([[1.0, 3.0, 3.0, 1.0]], np.float32), 4)
    assert indices.tolist() == [[1, 2, 0, 3]]
    assert probabilities[0, 0] == probabilities[0, 1]


@pytest.mark.parametrize(("classes", "expected"), [(3, 3), (5, 5), (1000, 5)])
def test_five_classes_are_shown_or_all(classes, expected):
    assert top_k(np.zeros((1, classes), np.float32))[0].shape == (1, expected)


@pytest.mark.parametrize("k", [0, -1, 4])
def test_more_classes_than_there_are_cannot_be_shown(k):
    with pytest.raises(UserError, match=rf"^topk={k} does not fit a network of 3 classes: give 1 to 3$"):
        top_k(np.zeros((1, 3), np.float32), k)


def test_batches_are_filled_up_and_unreadable_files_keep_their_places():
    network = Brightness()
    given = images(200, None, 0, None, None, None, 100, 50, None)
    found = list(Classifier(network, NAMES).predict(given, batch_size=3, topk=1))
    assert [prediction.path for prediction in found] == [image.path for image in given]
    assert [prediction.problem for prediction in found] == [image.problem for image in given]
    first = [prediction.scores[0].index if prediction.scores else None for prediction in found]
    assert first == [0, None, 2, None, None, None, 0, 2, None]
    assert [batch.shape for batch in network.batches] == [(3, 3, 2, 2), (3, 3, 2, 2)]
    assert network.batches[0][2].max() == 0
    guess = found[0].scores[0]
    assert guess == ClassScore(
        index=0, name=NAMES[0], probability=pytest.approx(softmax(np.array([2.0, 1, 0]))[0])
    )


def test_an_output_without_a_name_is_called_by_its_number():
    (prediction,) = Classifier(Brightness(), ["dark"]).predict(images(200), batch_size=1)
    assert [(guess.index, guess.name) for guess in prediction.scores] == [(0, "dark"), (1, "1"), (2, "2")]


def test_a_broken_network_has_no_opinion():
    broken = Classifier(lambda pixels: np.full((len(pixels), 3), np.nan, np.float32))
    with pytest.raises(NotFiniteError, match=r"^0.png: the network returns NaN or infinity"):
        list(broken.predict(images(1), batch_size=2))


@pytest.mark.parametrize(
    ("count", "largest", "expected"), [(1, 128, 1), (128, 128, 128), (130, 128, 65), (7, 3, 3), (9, 3, 3)]
)
def test_batches_are_as_even_as_may_be(count, largest, expected):
    assert even_batch_size(count, largest) == expected


# --- tables ------------------------------------------------------------------------------------------------

PREDICTIONS = [
    Prediction(
        path='ein Ordner/苹果, "rot".jpg',
        scores=(
            ClassScore(index=0, name=NAMES[0], probability=0.75),
            ClassScore(index=1, name=NAMES[1], probability=0.2345678),
        ),
    ),
    Prediction(path="broken.jpg", problem="broken.jpg is damaged"),
    Prediction(path="a\nb.png", scores=(ClassScore(index=2, name="sky", probability=1.0),)),
]


def written(kind: str, predictions: list[Prediction] = PREDICTIONS) -> str:
    file = io.StringIO()
    writer = PredictionWriter(file, kind, [prediction.path for prediction in predictions])
    for prediction in predictions:
        writer.write(prediction)
    return file.getvalue()


def test_csv_reads_back():
    rows = list(csv.DictReader(io.StringIO(written("csv"), newline="")))
    assert [tuple(row.values()) for row in rows] == [
        (PREDICTIONS[0].path, "1", "0", NAMES[0], "0.750000"),
        (PREDICTIONS[0].path, "2", "1", NAMES[1], "0.234568"),
        ("a\nb.png", "1", "2", "sky", "1.000000"),
    ]
    assert list(rows[0]) == ["file", "rank", "index", "class", "probability"]


def test_csv_on_a_terminal_holds_no_characters_that_it_obeys():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    scores = (ClassScore(index=0, name="sky\x07", probability=1.0),)
    PredictionWriter(terminal, "csv").write(Prediction(path="\x1b[31m图.jpg", scores=scores))
    assert terminal.getvalue().splitlines()[1] == "\\x1b[31m图.jpg,1,0,sky\\x07,1.000000"


def test_json_lines_read_back():
    first, second = map(json.loads, written("jsonl").splitlines())
    assert first == {
        "file": PREDICTIONS[0].path,
        "predictions": [
            {"index": 0, "class": NAMES[0], "probability": 0.75},
            {"index": 1, "class": NAMES[1], "probability": 0.234568},
        ],
    }
    assert second["file"] == "a\nb.png"
    assert "苹果" in written("jsonl")


def test_a_table_is_aligned_where_chinese_characters_take_two_columns():
    assert written("table").splitlines() == [
        'ein Ordner/苹果, "rot".jpg   0.7500  Äpfel 苹果',
        '                             0.2346  a "quoted", name',
        "a\\nb.png                     1.0000  sky",
    ]


def test_a_long_name_gets_a_line_of_its_own():
    path = "x" * 70
    lines = written("table", [Prediction(path=path, scores=PREDICTIONS[2].scores)]).splitlines()
    assert lines == [path, "   1.0000  sky"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "table"])
def test_a_file_name_that_is_no_unicode_can_be_written(tmp_path, kind):
    name = os.fsdecode(b"\xff.png")
    with open_writer(kind, tmp_path / "out", [name]) as writer:
        writer.write(Prediction(path=name, scores=PREDICTIONS[2].scores))
    content = (tmp_path / "out").read_bytes()
    if kind == "jsonl":
        assert json.loads(content)["file"] == name
    else:
        assert (b"\xff.png" if kind == "csv" else b"\\udcff.png") in content


def test_an_image_is_not_replaced_by_what_is_predicted_for_it(tmp_path):
    image, link = tmp_path / "a.png", tmp_path / "link"
    image.write_bytes(b"image")
    link.symlink_to(image)
    for output in (image, link):
        with (
            pytest.raises(UserError, match=r"is an image to be read: choose another file$"),
            open_writer("csv", output, ["nowhere.png", str(image)]),
        ):
            pass
    assert image.read_bytes() == b"image"


def test_a_disk_that_is_full_is_reported_with_the_file():
    with (
        pytest.raises(UserError, match=r"^--output /dev/full cannot be written \(No space left on device\)"),
        open_writer("csv", "/dev/full") as writer,
    ):
        writer.write(PREDICTIONS[2])


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    expected = rf"^--output {tmp_path}/no/out.csv cannot be written \(No such file or directory\)"
    with pytest.raises(UserError, match=expected), open_writer("csv", tmp_path / "no" / "out.csv"):
        pass
    assert not Path(tmp_path / "no").exists()
