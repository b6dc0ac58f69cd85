"""The report of a run about images that cannot be read, and its score without them."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from PIL import Image

from mindcv import build
from mindcv.config import Config
from mindcv.data.bad_images import BadImages
from mindcv.errors import UserError
from mindcv.runtime.session import Runtime
from tests.support.ranks import OneOfTwo
from tests.support.training import usual_trainer

ALONE = Runtime(device="CPU")
SIZE = 16
BAD = ("a/2.png", "b/3.png")
FAULTS = "a/2.png is empty, b/3.png is cut short"


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """Two classes of four images in both splits; two of the images of each split are bad."""
    monkeypatch.chdir(tmp_path)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    for split in ("train", "val"):
        for i in range(8):
            path = tmp_path / "data" / split / "ab"[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
            Image.fromarray(pixels).save(path)
        for name, size in zip(BAD, (0, 200), strict=True):
            path = tmp_path / "data" / split / name
            path.write_bytes(path.read_bytes()[:size])
    return tmp_path / "data"


def config_for(root: Path, mode: str) -> Config:
    return Config.from_options(
        {"data_dir": str(root), "image_resize": SIZE, "batch_size": 2, "num_parallel_workers": 1}
        | {"on_bad_image": mode, "val_while_train": True, "opt": "sgd"}
    )


def network() -> nn.Cell:
    weight = ms.Tensor(np.random.default_rng(0).standard_normal((2, 3 * SIZE**2), np.float32) / 30)
    return nn.SequentialCell(nn.Flatten(), nn.Dense(3 * SIZE**2, 2, weight_init=weight, bias_init="zeros"))


def validation(root: Path, mode: str, net: nn.Cell, runtime: Runtime = ALONE):
    config = config_for(root, mode)
    return build.build_evaluation(config, net, build.build_validation_data(config, ALONE), runtime)


@pytest.mark.parametrize("mode", ["skip", "replace"])
def test_a_validation_scores_as_if_bad_images_were_not_there_and_names_them_once(root, capsys, mode):
    net = network()
    validate = validation(root, mode, net)
    result = validate()
    assert validate() == result
    assert capsys.readouterr().out.splitlines() == [
        f"2 images of {root}/val could not be read: not counted. {FAULTS}"
    ]
    for name in BAD:
        (root / "val" / name).unlink()
    without = validation(root, "fail", net)()
    assert (result.images, result.top1, result.top5) == (6, without.top1, without.top5)
    assert result.loss == pytest.approx(without.loss, rel=1e-6)


def test_each_rank_names_the_bad_images_of_its_share(root, capsys):
    config = config_for(root, "skip")
    (root / "val" / "a" / "0.png").write_bytes(b"no image")
    for rank in range(2):
        data = build.build_validation_data(config, OneOfTwo(device="CPU", rank=rank, world_size=2))
        build.build_evaluation(config, network(), data, ALONE)()
    assert capsys.readouterr().out.splitlines() == [
        f"1 image of {root}/val on rank 0 of 2 could not be read: not counted. "
        "a/0.png is not in an image format that MindSpore decodes",
        f"2 images of {root}/val on rank 1 of 2 could not be read: not counted. {FAULTS}",
    ]


@pytest.mark.parametrize(("mode", "outcome"), [("skip", "skipped"), ("replace", "replaced")])
def test_a_training_says_after_each_epoch_what_was_bad(root, tmp_path, capsys, mode, outcome):
    config, net = config_for(root, mode), network()
    optimizer = build.build_optimizer(config, net, [0.001] * 8)
    forward = build.build_forward(config, net, "ab")
    trainer = usual_trainer(
        build.build_train_step(config, net, forward, optimizer, None, ALONE),
        build.build_training_data(config, ALONE),
        epochs=2,
        learning_rates=[0.001] * 8,
        validate=validation(root, mode, net),
        folder=tmp_path,
    )
    trainer.fit()
    assert [line for line in capsys.readouterr().out.splitlines() if "could not be read" in line] == [
        f"2 images of {root}/val could not be read: not counted. {FAULTS}",
        f"2 images of {root}/train could not be read: {outcome}. {FAULTS}",
        f"2 images of {root}/train could not be read: {outcome} (named before)",
    ]
    assert not (tmp_path / "abnormal_image.jpg").exists()


def test_a_validation_without_a_readable_image_is_refused(root):
    for path in (root / "val").glob("*/*.png"):
        path.write_bytes(b"")
    with pytest.raises(UserError) as caught:
        validation(root, "skip", network())()
    assert str(caught.value) == (
        "no image could be read, so there is nothing to score: check data_dir and val_split"
    )


def test_a_report_names_five_files_and_counts_the_others():
    record = BadImages("data")
    for i in (6, 0, 5, 1, 4, 2, 3):
        record.add(f"{i}.jpg", "is empty")
    named = ", ".join(f"{i}.jpg is empty" for i in range(5))
    expected = f"7 images of data on rank 1 of 2 could not be read: replaced. {named} and 2 more"
    assert record.report("replaced", rank=" on rank 1 of 2") == expected
    record.add("6.jpg", "is empty")
    assert record.report("not counted", always=False) == ""
    assert record.report("replaced") == ""
