"""A run resumed on other cores: the number of data workers is part of its state."""

import logging
import os
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from mindcv.build import build_training_data, create_trainer
from mindcv.build.resumed_workers import with_resumed_workers, workers_of_ranks
from mindcv.config import Config
from mindcv.data.workers import same_workers
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import read_checkpoint
from mindcv.runtime.session import Runtime

ALONE = Runtime(device="CPU")
CORES = os.sched_getaffinity(0)


@pytest.fixture
def one_core():
    """This process may use one core of the machine's."""
    if len(CORES) < 2:
        pytest.skip("needs two cores")
    os.sched_setaffinity(0, {min(CORES)})
    yield
    os.sched_setaffinity(0, CORES)


def config_for(photos: Path, **options) -> Config:
    common = {
        **{"data_dir": str(photos), "model": "mnasnet_small", "mode": 1, "device_target": "CPU"},
        **{"image_resize": 32, "batch_size": 8, "num_samples": 24, "num_parallel_workers": 2},
        **{"epoch_size": 2, "warmup_epochs": 0, "lr": 0.01, "opt": "momentum", "distribute": False},
    }
    return Config.from_options({**common, **options})


def images_of(data) -> np.ndarray:
    rows = data.epoch(1).create_tuple_iterator(num_epochs=1, output_numpy=True)
    return np.concatenate([images.copy() for images, _ in rows])


def resumed(config: Config, metadata: dict) -> np.ndarray:
    return images_of(
        with_resumed_workers(config, Path("x.ckpt"), metadata, build_training_data(config, ALONE), ALONE)
    )


def test_a_run_resumed_on_fewer_cores_sees_the_same_pictures_and_says_so(photos, caplog, request):
    config = config_for(photos)
    data = build_training_data(config, ALONE)
    expected = images_of(data)
    metadata = {"config": config.options(), "workers": workers_of_ranks(data, ALONE)}
    assert metadata["workers"] == [2]
    request.getfixturevalue("one_core")
    assert not np.array_equal(images_of(build_training_data(config, ALONE)), expected)
    caplog.clear()
    with caplog.at_level(logging.INFO, "mindcv.data"):
        assert np.array_equal(resumed(config, metadata), expected)
    assert [record.getMessage() for record in caplog.records] == [
        "resumes with 2 data workers, as before: their number changes the augmentation"
    ]


def test_a_run_resumed_with_another_option_takes_it(photos):
    then, now = config_for(photos), config_for(photos, num_parallel_workers=1)
    expected = images_of(build_training_data(now, ALONE))
    assert np.array_equal(resumed(now, {"config": then.options(), "workers": [2]}), expected)


@pytest.mark.parametrize("workers", ["2", [0], [2.5], [True], {"0": 2}])
def test_a_file_with_damaged_numbers_of_workers_is_refused(photos, workers):
    config = config_for(photos)
    with pytest.raises(UserError, match=r"x\.ckpt: its list of workers is damaged: use another file"):
        resumed(config, {"config": config.options(), "workers": workers})


def test_where_the_machine_has_too_few_cores_a_line_says_what_differs(caplog):
    many = 10 * (os.cpu_count() or 1) + 3
    with caplog.at_level(logging.INFO, "mindcv.data"):
        assert same_workers(many, 1) == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"resumes with 1 data workers instead of {many}, for which this machine has too few cores: "
        "the random augmentation differs from that of a run that was not stopped"
    ]


@pytest.mark.slow
def test_a_run_resumed_with_one_core_ends_with_the_same_bits(photos, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("mindcv"), "handlers", [])
    weights = []
    for name in ("whole", "stopped"):
        folder = tmp_path / name
        create_trainer(config_for(photos, ckpt_save_dir=str(folder))).fit()
        if name == "stopped":
            (folder / "mnasnet_small-2.ckpt").unlink()
            request.getfixturevalue("one_core")
            create_trainer(config_for(photos, ckpt_save_dir=str(folder), resume="auto")).fit()
        weights.append(read_checkpoint(folder / "mnasnet_small-2.ckpt").tensors)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])
