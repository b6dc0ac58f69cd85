"""Options and folders become the parts of an export."""

import json
import math

import numpy as np
import pytest
from mindspore import Tensor

from mindcv import build
from mindcv.build.pipelines import build_some_images
from mindcv.config import Config
from mindcv.data import create_source
from mindcv.errors import UserError
from mindcv.export import ImageFormat
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.runtime.session import Runtime
from mindcv.version import __version__
from tests.support.exporting import random_network

ALONE = Runtime(device="CPU")
CLASSES = ["apple", "pear", "sky"]


def config_for(**options) -> Config:
    common = {"model": "mnasnet_small", "image_resize": 32, "num_parallel_workers": 1, "batch_size": 4}
    return Config.from_options({**common, **options})


def message(call) -> str:
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value)


def test_the_images_are_those_of_the_validation():
    options = {"image_resize": 32, "val_image_resize": 48, "mean": (1, 2, 3), "std": (4, 5, 6)}
    assert build.build_image_format(config_for(**options), uint8_input=True) == ImageFormat(
        channels=3, size=48, mean=(1, 2, 3), std=(4, 5, 6), uint8_input=True
    )
    grey = build.build_image_format(config_for(dataset="mnist", in_channels=1), uint8_input=False)
    assert (grey.channels, grey.size, grey.uint8_input) == (1, 32, False)
    assert (grey.mean, grey.std) == ((255 * 0.1307,), (255 * 0.3081,))


def test_metadata_hold_all_that_is_needed_elsewhere_and_nothing_of_the_machine():
    config = config_for(data_dir="/home/me", ckpt_save_dir="/home/me", crop_pct=0.9, interpolation="pilcubic")
    images = build.build_image_format(config, uint8_input=True)
    metadata = build.export_metadata(config, CLASSES, images)
    text = json.dumps(metadata)
    assert "/home/me" not in text
    kept = metadata.pop("config")
    assert (kept["model"], kept["crop_pct"], kept["interpolation"]) == ("mnasnet_small", 0.9, "pilcubic")
    assert json.loads(text) == {
        "model": "mnasnet_small",
        "version": __version__,
        "config": kept,
        "classes": CLASSES,
        "mean": [255 * v for v in (0.485, 0.456, 0.406)],
        "std": [255 * v for v in (0.229, 0.224, 0.225)],
        "input": {"type": "uint8", "layout": "NCHW", "channels": "RGB", "values": "0 to 255"},
        "preprocessing": {"resize": 35, "side": "shorter", "interpolation": "pilcubic", "crop": 32},
    }
    digits = config_for(dataset="digits", in_channels=1)
    images = build.build_image_format(digits, uint8_input=False)
    metadata = build.export_metadata(digits, [], images)
    assert metadata["preprocessing"] == {
        "resize": 32,
        "side": "both",
        "interpolation": "bilinear",
        "crop": 32,
    }
    assert metadata["input"] == {
        "type": "float32",
        "layout": "NCHW",
        "channels": "grey",
        "values": "(0 to 255 - mean) / std",
    }


def test_an_image_format_normalises_as_it_says():
    images = build.build_image_format(config_for(), uint8_input=False)
    pixels = images.random(5, seed=1)
    assert (pixels.shape, pixels.dtype) == ((5, 3, 32, 32), np.uint8)
    assert len({float(pixel.mean()) for pixel in pixels}) == 5
    mean, std = (np.reshape(v, (3, 1, 1)) for v in (images.mean, images.std))
    np.testing.assert_allclose(images.given(pixels), (pixels - mean) / std, rtol=1e-5, atol=1e-6)
    assert images.given(pixels).dtype == np.float32
    raw = build.build_image_format(config_for(), uint8_input=True)
    assert raw.given(pixels) is pixels


@pytest.mark.parametrize("count", [5, 24, 1000])
def test_calibration_sees_so_many_training_images_from_all_classes(photos, count):
    calibration, _ = build.build_quantization_images(config_for(data_dir=str(photos)), [], ALONE, count)
    found = [batch.copy() for batch in calibration]
    assert all(batch.shape[1:] == (3, 32, 32) and batch.dtype == np.uint8 for batch in found)
    assert sum(map(len, found)) == min(count, 72)
    data = build_some_images(config_for(data_dir=str(photos)), "train", count)
    labels = [label for _, batch in data.epoch().create_tuple_iterator(num_epochs=1) for label in batch]
    assert {int(label) for label in labels} == {0, 1, 2}


def test_the_score_is_of_each_validation_image_once(photos):
    config = config_for(data_dir=str(photos), batch_size=7)
    classes = list(create_source("", str(photos), "val").classes)
    _, scored = build.build_quantization_images(config, classes, ALONE, 5)
    labels = np.concatenate([labels.copy() for _, labels in scored])
    assert np.bincount(labels).tolist() == [8, 8, 8]


def test_a_folder_of_other_classes_is_refused(photos):
    config = config_for(data_dir=str(photos), ckpt_path="net.ckpt")
    real = list(create_source("", str(photos), "val").classes)
    found = message(lambda: build.build_quantization_images(config, ["plum", *real[1:]], ALONE, 5))
    assert found.startswith(f"{photos}")
    assert (
        f": 1 of its 3 classes, such as '{real[0]}', are not among the 3 of net.ckpt, such as 'plum'" in found
    )
    assert found.endswith(": rename the folders, or give a data_dir with the same classes")


def test_labels_of_a_part_of_the_classes_are_matched_by_name(photos):
    config = config_for(data_dir=str(photos), ckpt_path="net.ckpt", num_classes=5)
    real = list(create_source("", str(photos), "val").classes)
    classes = ["zebra", real[2], real[0], "plum", real[1]]
    _, scored = build.build_quantization_images(config, classes, ALONE, 5)
    labels = np.concatenate([labels.copy() for _, labels in scored])
    assert np.bincount(labels).tolist() == [0, 8, 8, 0, 8]


def test_a_file_is_checked_on_eight_of_the_users_images_if_there_are_any(photos):
    assert build.build_sample_images(config_for()) is None
    samples = build.build_sample_images(config_for(data_dir=str(photos)))
    assert (samples.shape, samples.dtype) == ((8, 3, 32, 32), np.uint8)


def test_the_exported_network_has_the_files_weights_in_float32(tmp_path):
    path = tmp_path / "net.ckpt"
    network = random_network()
    write_checkpoint(path, network.parameters_dict(), {})
    config = config_for(ckpt_path=str(path), num_classes=7, val_amp_level="O3")
    exported = build.build_exported_network(config, [], ALONE)
    images = Tensor(np.ones((1, 3, 32, 32), np.float32))
    expected = network(images).asnumpy()
    assert math.isfinite(expected.sum())
    np.testing.assert_array_equal(exported.set_train(False)(images).asnumpy(), expected)


def test_an_export_needs_a_file_its_number_of_classes_and_one_process():
    build_exported = build.build_exported_network
    assert message(lambda: build_exported(config_for(num_classes=5), [], ALONE)) == (
        "ckpt_path is not set, and random weights need no export: give --ckpt_path FILE"
    )
    assert message(lambda: build_exported(config_for(ckpt_path="net.ckpt"), [], ALONE)) == (
        "net.ckpt: stores no class names: give their number, --num_classes"
    )
    two = Runtime(device="CPU", rank=0, world_size=2)
    assert message(lambda: build_exported(config_for(ckpt_path="net.ckpt"), CLASSES, two)) == (
        "2 processes would write one file: start one"
    )
