"""From options to objects: what the builders pass on."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from PIL import Image

from mindcv import build
from mindcv.config import Config
from mindcv.engine import Evaluation, RunCallback, training_state
from mindcv.engine.callbacks import (
    BadImagesReport,
    Checkpointing,
    EpochReport,
    FinalReport,
    HistoryTable,
    LearningCurve,
    MetricsLog,
    Progress,
    Stopping,
)
from mindcv.errors import UserError
from mindcv.runtime.machine import usable_cores
from mindcv.runtime.session import Runtime
from tests.support.training import usual_trainer

ALONE = Runtime(device="CPU")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Two classes of three images in both splits; the working directory, too, is a temporary one."""
    monkeypatch.chdir(tmp_path)  # MindSpore writes a copy of a damaged image there
    for split in ("train", "val"):
        for i in range(6):
            path = tmp_path / "data" / split / "ab"[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    return tmp_path / "data"


def config_for(folder: Path, **options) -> Config:
    common = {"data_dir": str(folder), "image_resize": 16, "batch_size": 2, "num_parallel_workers": 1}
    return Config.from_options({**common, "val_while_train": True, **options})


def network() -> nn.Cell:
    weight = np.random.default_rng(0).standard_normal((2, 3 * 16 * 16), np.float32) / 30
    dense = nn.Dense(3 * 16 * 16, 2, weight_init=ms.Tensor(weight), bias_init="zeros")
    return nn.SequentialCell(nn.Flatten(), dense)


def score(folder: Path, **options) -> Evaluation:
    config = config_for(folder, **options)
    data = build.build_validation_data(config, ALONE)
    return build.build_evaluation(config, network(), data, ALONE)()


def test_the_loss_of_a_validation_has_no_label_smoothing(folder):
    plain = score(folder)
    assert plain.images == 6
    assert score(folder, label_smoothing=0.1) == plain
    assert score(folder, loss="BCE") != plain


def test_the_default_number_of_threads_is_reduced_to_the_cores_in_silence(folder, caplog):
    with caplog.at_level("WARNING", "mindcv.data"):
        score(folder, num_parallel_workers=8)
        assert caplog.messages == []
        assert build.build_validation_data(config_for(folder), ALONE).num_parallel_workers == 1
        by_default = build.build_validation_data(config_for(folder, num_parallel_workers=8), ALONE)
        assert by_default.num_parallel_workers == min(8, usable_cores())


def test_mean_and_deviation_are_the_datasets_or_the_options(folder):
    imagenet = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
    assert score(folder, **imagenet).loss == pytest.approx(score(folder).loss, rel=1e-6)
    assert score(folder, mean=[0.0, 0.0, 0.0]).loss != pytest.approx(score(folder).loss, rel=1e-2)


@pytest.mark.parametrize(
    ("rule", "factor"), [("none", 1.0), ("linear", 1024 / 256), ("sqrt", (1024 / 256) ** 0.5)]
)
def test_learning_rates_are_scaled_for_the_global_batch(folder, rule, factor):
    config = config_for(
        folder, lr_scale=rule, lr=0.1, min_lr=0.01, batch_size=128, epoch_size=2, warmup_epochs=0
    )
    rates = build.build_learning_rates(config, 4, Runtime(device="CPU", rank=1, world_size=8))
    assert len(rates) == 8
    assert rates[0] == pytest.approx(0.1 * factor)
    assert 0.01 * factor < rates[-1] < 0.1 * factor


def test_the_other_ranks_write_no_checkpoint_and_no_history(folder):
    other = Runtime(device="CPU", rank=1, world_size=2)
    # To compare their validation images, two ranks would have to be there.
    config, net = config_for(folder, val_while_train=False), network()
    optimizer = build.build_optimizer(config, net, [0.1])
    forward = build.build_forward(config, net, "ab")
    step = build.build_train_step(config, net, forward, optimizer, None, ALONE)
    assert build.build_checkpoints(config, net, training_state(net, step), ["a", "b"], other) is None
    built = build.build_callbacks(config, net, None, None, None, other)
    assert not [c for c in built if isinstance(c, (HistoryTable, LearningCurve, EpochReport, Progress))]
    assert build.build_statistics_exchange(config, net, None, ALONE) is None


def test_an_epochs_checkpoint_is_written_before_its_table_its_curve_and_its_line(folder):
    built = build.build_callbacks(config_for(folder), network(), None, None, None, ALONE)
    after_an_epoch = [type(c) for c in built if type(c).on_epoch_result is not RunCallback.on_epoch_result]
    assert after_an_epoch == [
        *(Checkpointing, HistoryTable, MetricsLog, LearningCurve, EpochReport, BadImagesReport),
        *(FinalReport, Stopping),
    ]


def test_the_limit_of_pixels_reaches_training_validation_and_inference(folder):
    config = config_for(folder, max_image_pixels=255)
    for data in (build.build_training_data(config, ALONE), build.build_validation_data(config, ALONE)):
        with pytest.raises(RuntimeError) as caught:
            list(data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True))
        remedy = "remove or replace them, raise max_image_pixels, or set on_bad_image to skip"
        assert str(data.explain(caught.value)).endswith(f"cannot be read as images: {remedy}")
    (image,) = build.build_images(config, [str(folder / "val" / "a" / "0.png")])
    assert image.problem.endswith("has 16 x 16 pixels, more than max_image_pixels=255: remove or replace it")


def test_a_damaged_validation_image_is_named_with_and_without_a_training(folder):
    damaged = folder / "val" / "b" / "5.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    expected = f"{damaged} is cut short: remove or replace it, or set on_bad_image to skip"
    with pytest.raises(UserError) as caught:
        score(folder)
    assert str(caught.value) == expected

    config, net = config_for(folder, opt="sgd"), network()
    optimizer = build.build_optimizer(config, net, [0.001] * 3)
    validation = build.build_evaluation(config, net, build.build_validation_data(config, ALONE), ALONE)
    trainer = usual_trainer(
        build.build_train_step(config, net, build.build_forward(config, net, "ab"), optimizer, None, ALONE),
        build.build_training_data(config, ALONE),
        epochs=1,
        learning_rates=[0.001] * 3,
        validate=validation,
    )
    with pytest.raises(UserError) as caught:
        trainer.fit()
    assert str(caught.value) == expected
