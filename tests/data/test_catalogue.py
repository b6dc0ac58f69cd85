"""Properties of the datasets that are known before they are opened."""

import numpy as np
import pytest
from PIL import Image

from mindcv.data import channel_statistics
from mindcv.data.catalogue import DATASETS
from mindcv.data.sources.digits import write_digits
from mindcv.errors import UserError


def test_statistics_are_on_the_scale_of_the_pixels():
    mean, std = channel_statistics("imagenet")
    assert mean == pytest.approx((123.675, 116.28, 103.53))
    assert std == pytest.approx((58.395, 57.12, 57.375))
    assert channel_statistics("") == channel_statistics("mindrecord") == (mean, std)
    for name in DATASETS:
        for in_channels in (1, 3):
            for values in channel_statistics(name, in_channels):
                assert len(values) == in_channels
                assert all(30 < value < 160 for value in values)


def test_statistics_of_grey_follow_the_channels_weights():
    mean, std = channel_statistics("imagenet", 1)
    assert mean == pytest.approx((0.299 * 123.675 + 0.587 * 116.28 + 0.114 * 103.53,))
    assert std == pytest.approx((0.299 * 58.395 + 0.587 * 57.12 + 0.114 * 57.375,))
    assert channel_statistics("mnist", 3)[0] == channel_statistics("mnist", 1)[0] * 3


def test_statistics_refuse_other_channels():
    with pytest.raises(UserError, match="in_channels=2 is not supported"):
        channel_statistics("digits", 2)


def test_statistics_of_digits_are_those_of_its_training_images(tmp_path):
    write_digits(tmp_path)
    pixels = np.stack([np.asarray(Image.open(path)) for path in (tmp_path / "train").rglob("*.png")])
    mean, std = channel_statistics("digits", 1)
    assert mean[0] == pytest.approx(pixels.mean(), rel=1e-3)
    assert std[0] == pytest.approx(pixels.std(), rel=2e-3)
