"""infer.py: a checkpoint or an exported network and real image files, in a notebook and as a process."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import pytest

from mindcv import build
from mindcv.config import Config
from mindcv.data import imagenet_classes
from mindcv.errors import UserError
from mindcv.export import expect, export_onnx
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.inference import Prediction
from mindcv.models import create_model
from mindcv.runtime.session import Runtime
from mindcv.step import Normalized

ROOT = Path(__file__).parents[2]
ALONE = Runtime(device="CPU")
CLASSES = ["Äpfel und Birnen 苹果", "red apple", "sky"]
TRAINING = {
    "model": "mnasnet_small",
    "dataset": "image_folder",
    "image_resize": 32,
    "crop_pct": 0.8,
    "interpolation": "pilcubic",
    "mean": (100.0, 120.0, 140.0),
    "std": (50.0, 60.0, 70.0),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """One network of random weights and statistics as a checkpoint and as two ONNX files, and its average."""
    folder = tmp_path_factory.mktemp("networks")
    config = Config.from_options(TRAINING)
    network, average = (_random_network(seed) for seed in (1, 2))
    tensors = network.parameters_dict()
    tensors |= {f"ema.{name}": value for name, value in average.parameters_dict().items()}
    found = {}
    for name, options in (("plain", {}), ("average", {"ema": True})):
        found[name] = folder / f"{name} 网.ckpt"
        metadata = {"config": {**config.options(), **options}, "classes": CLASSES}
        write_checkpoint(found[name], tensors, metadata)
    for name, uint8_input in (("float32", False), ("uint8", True)):
        found[name] = folder / f"{name}.onnx"
        images = build.build_image_format(config, uint8_input=uint8_input)
        metadata = build.export_metadata(config, CLASSES, images)
        export_onnx(network, found[name], expect(network, images), metadata=metadata)
    return found


def _random_network(seed: int, classes: int = len(CLASSES)):
    """Random weights, with the statistics of random images: it tells images apart."""
    ms.set_seed(seed)
    network = create_model("mnasnet_small", classes, bn_momentum=0.0).set_train(True)
    colours = np.random.default_rng(seed).standard_normal((16, 3, 4, 4)).astype(np.float32)
    network(ms.Tensor(colours.repeat(8, 2).repeat(8, 3)))
    return network.set_train(False)


def predict(path: Path, names: list[Path], *argv: str, topk: int | None = None) -> list[Prediction]:
    config, classes = build.load_stored_config(["--ckpt_path", str(path), *argv])
    classifier = build.build_classifier(config, classes, ALONE)
    return list(classifier.predict(build.build_images(config, names), batch_size=5, topk=topk))


def test_the_network_sees_what_the_validation_sees(files, photos):
    """Against softmax in NumPy of the network's logits on the validation's own pipeline."""
    config = Config.from_options({**TRAINING, "data_dir": str(photos), "batch_size": 24})
    data = build.build_validation_data(config, ALONE)
    ((pixels, labels),) = data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True)
    network = Normalized(_random_network(1), TRAINING["mean"], TRAINING["std"])
    logits = network(ms.Tensor(pixels)).asnumpy().astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    found = predict(files["plain"], [photos / "val" / name for name in data.source.classes])
    assert [prediction.path for prediction in found] == [data.source.path(i) for i in range(len(labels))]
    for prediction, row in zip(found, expected, strict=True):
        assert [guess.index for guess in prediction.scores] == np.argsort(-row).tolist()
        assert [guess.name for guess in prediction.scores] == [CLASSES[i] for i in np.argsort(-row)]
        probabilities = [guess.probability for guess in prediction.scores]
        np.testing.assert_allclose(probabilities, np.sort(row)[::-1], atol=1e-5)


@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_onnx_runtime_gives_the_same_predictions(files, photos, kind):
    names = [photos / "val"]
    expected, found = predict(files["plain"], names), predict(files[kind], names)
    assert len(expected) == 24
    assert len({prediction.scores[0].probability for prediction in expected}) > 20
    for one, other in zip(expected, found, strict=True):
        assert one.path == other.path
        assert [g.name for g in one.scores] == [g.name for g in other.scores]
        np.testing.assert_allclose(
            [g.probability for g in one.scores], [g.probability for g in other.scores], atol=1e-4
        )


def test_a_checkpoint_with_an_ema_model_is_used_by_its_ema_model(files, photos):
    names = [photos / "val" / "sky"]
    plain, average = predict(files["plain"], names), predict(files["average"], names)
    assert plain != average
    assert predict(files["average"], names, "--ema", "false") == plain


@pytest.mark.parametrize("kind", ["plain", "float32"])
def test_options_of_the_command_line_win_over_the_files(files, photos, kind):
    names = [photos / "val" / "sky"]
    assert predict(files[kind], names, "--crop_pct", "1") != predict(files[kind], names)


def test_a_network_of_a_thousand_classes_without_names_is_imagenets(tmp_path, photos):
    write_checkpoint(tmp_path / "mindcv.ckpt", _random_network(3, 1000).parameters_dict(), {})
    names, argv = [photos / "val" / "sky"], ("--model", "mnasnet_small", "--image_resize", "32")
    predictions = predict(tmp_path / "mindcv.ckpt", names, *argv)
    words = list(imagenet_classes().values())
    for prediction in predictions:
        assert len(prediction.scores) == 5
        assert all(guess.name == words[guess.index] for guess in prediction.scores)


def test_classes_that_are_wordnet_ids_are_put_into_words(tmp_path, photos):
    metadata = {"config": TRAINING, "classes": ["n01440764", "n01443537"]}
    write_checkpoint(tmp_path / "two.ckpt", _random_network(3, 2).parameters_dict(), metadata)
    (first, *_) = predict(tmp_path / "two.ckpt", [photos / "val" / "sky"])
    assert {guess.name for guess in first.scores} == {"tench", "goldfish"}


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--lr", "1"], "ckpt_path is not set, and random weights know nothing: give --ckpt_path FILE, or"),
        (["--ckpt_path", "MINDCV", "--dataset", "image_folder"], "does not store its number of classes"),
        (
            ["--ckpt_path", "FIXED", "--image_resize", "48"],
            "of 32 x 32 pixels, not 48 x 48: set image",
        ),
        (
            ["--ckpt_path", "ONNX", "--in_channels", "1", "--mean", "[1]", "--std", "[1]"],
            "of 3 channels, not",
        ),
    ],
)
def test_what_cannot_be_classified_with_is_explained(files, tmp_path, argv, expected):
    write_checkpoint(tmp_path / "mindcv.ckpt", _random_network(3).parameters_dict(), {})
    fixed = onnx.load(files["float32"])
    for dimension in fixed.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_value = 32
    onnx.save(fixed, tmp_path / "fixed.onnx")
    paths = {"MINDCV": str(tmp_path / "mindcv.ckpt"), "ONNX": str(files["float32"])}
    paths["FIXED"] = str(tmp_path / "fixed.onnx")
    config, classes = build.load_stored_config([paths.get(argument, argument) for argument in argv])
    with pytest.raises(UserError, match=re.escape(expected)):
        build.build_classifier(config, classes, ALONE)


# --- the program -------------------------------------------------------------------------------------------


def infer(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "infer.py", *arguments]
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=200)


def notices(errors: str) -> list[str]:
    return [line for line in errors.splitlines() if not line.startswith("num_parallel_workers=8")]


def test_a_process_classifies_what_it_can_and_ends_with_status_1_for_the_rest(files, photos, tmp_path):
    (tmp_path / "ö.jpg").write_text("no image")
    names = [photos / "val" / "sky" / "sky [0-2].JPEG", tmp_path, photos / "val" / "red apple"]
    done = infer(*names, "--ckpt_path", files["plain"], "--format", "csv", "--topk=2", cwd=tmp_path)
    assert notices(done.stderr) == [
        f"{tmp_path}/ö.jpg is not in an image format that MindSpore decodes: remove or replace it",
        "1 of 12 files cannot be read",
    ]
    assert done.returncode == 1
    expected = predict(files["plain"], names, topk=2)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    scores = [(p.path, guess) for p in expected for guess in p.scores]
    assert [(row["file"], row["class"]) for row in rows] == [(path, guess.name) for path, guess in scores]
    for row, (_, guess) in zip(rows, scores, strict=True):
        assert float(row["probability"]) == pytest.approx(
            guess.probability, abs=1e-4
        )  # graph mode, 11 filled
    assert [path.name for path in tmp_path.iterdir()] == ["ö.jpg"]


@pytest.mark.slow
def test_a_process_runs_an_exported_network_and_writes_a_file(files, photos, tmp_path):
    argv = (
        "--ckpt_path",
        files["uint8"],
        photos / "val" / "sky",
        "--format",
        "jsonl",
        "--output",
        "out.jsonl",
    )
    done = infer(*argv, "--batch_size", "3", cwd=tmp_path)
    assert (done.returncode, done.stdout, notices(done.stderr)) == (0, "", [])
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    expected = predict(files["plain"], [photos / "val" / "sky"])
    assert [record["file"] for record in records] == [prediction.path for prediction in expected]
    for record, prediction in zip(records, expected, strict=True):
        assert [g["class"] for g in record["predictions"]] == [g.name for g in prediction.scores]


def test_a_mistake_is_one_line_and_status_2(tmp_path):
    done = infer("--ckpt_path", "no.ckpt", "a.jpg", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no.ckpt: no such checkpoint: check the path\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "there is nothing to classify: give images, folders or patterns"),
        (["a.jpg"], "a.jpg: no such file or folder, and no file matches it as a pattern: check the path"),
        (["--lr", "x"], "command line: lr=x does not fit: give a number"),
    ],
)
def test_every_mistake_is_one_line_and_status_2(tmp_path, argv, expected):
    done = infer(*argv, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {expected}\n")


def test_the_notebooks_lines_in_the_documentation_run(files, photos, tmp_path, monkeypatch):
    text = (ROOT / "docs" / "inference.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "ckpt").mkdir()
    shutil.copy(files["plain"], tmp_path / "ckpt" / "mnasnet_100_best.ckpt")
    shutil.copytree(photos / "val" / "sky", tmp_path / "holiday")
    shutil.copy(photos / "val" / "red apple" / "red apple 0.JPEG", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(code, found)
    assert len(found["predictions"]) == 9
    expected = predict(files["plain"], [Path("photo.jpg"), Path("holiday")], topk=2)
    for one, other in zip(found["predictions"], expected, strict=True):
        assert (one.path, [g.name for g in one.scores]) == (other.path, [g.name for g in other.scores])
