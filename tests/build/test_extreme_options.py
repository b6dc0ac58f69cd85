"""The next stage can use whatever values the options accept."""

from collections.abc import Iterator
from math import inf, isfinite
from typing import Any, get_args

import numpy as np
import pytest

from mindcv import build
from mindcv.choices import Schedule
from mindcv.config import SECTIONS, Config, Option
from mindcv.config.option import LARGEST, options_of
from mindcv.errors import UserError
from mindcv.runtime.session import Runtime

ALONE = Runtime(device="CPU")
LISTS = {
    "scale": [(1e-6, 1e-6), (1.0, 1.0)],
    "ratio": [(0.01, 0.01), (100.0, 100.0)],
    "re_scale": [(1e-6, 1e-6), (1.0, 1.0)],
    "re_ratio": [(0.01, 0.01), (100.0, 100.0)],
    "std": [(0.001,) * 3, (255.0,) * 3],
    "mean": [(0.0,) * 3, (255.0,) * 3],
    "color_jitter": [0.0, (0.0,) * 3, (1.0, 1.0, 1.0, 0.5)],
}
SLOW = {("image_resize", 2048), ("val_image_resize", 2048)}


def ends(option: Option) -> Iterator[Any]:
    """The smallest and the largest value that an option accepts."""
    if option.range is not None and option.name != "mixup_off_epoch":  # which ends with the run
        number = int if "int" in str(option.kind) else float
        yield from (number(option.range.low), number(min(option.range.high, LARGEST)))
    yield from LISTS.get(option.name, [])


def extremes(*sections: str) -> list[Any]:
    return [
        pytest.param(
            option.name,
            end,
            marks=[pytest.mark.slow] if (option.name, end) in SLOW else [],
            id=f"{option.name}={end}",
        )
        for section in sections
        for option in options_of(SECTIONS[section])
        for end in ends(option)
    ]


@pytest.mark.hostile
@pytest.mark.parametrize(("name", "end"), extremes("data", "image", "augment", "policy", "mix"))
def test_images_are_read_with_the_smallest_and_the_largest_value_of_each_option(photos, name, end):
    common = {"data_dir": str(photos), "image_resize": 16, "batch_size": 2, "num_parallel_workers": 1}
    on = {"re_prob": 1.0, "mixup": 0.2, "cutmix": 1.0, "drop_remainder": False}
    config = Config.from_options({**common, **on, name: end})
    for data in (build.build_training_data(config, ALONE), build.build_validation_data(config, ALONE)):
        images, *labels = next(data.epoch(0).create_tuple_iterator(num_epochs=1, output_numpy=True))
        assert images.dtype == np.uint8
        assert all(np.isfinite(each).all() for each in labels)


@pytest.mark.parametrize("scheduler", get_args(Schedule))
def test_learning_rates_are_finite_with_the_smallest_and_the_largest_value_of_each_option(scheduler):
    common = {"scheduler": scheduler, "epoch_size": 9, "warmup_epochs": 1, "decay_epochs": 2.0}
    accepted = 0
    for option in options_of(SECTIONS["schedule"]):
        for end in ends(option):
            try:
                config = Config.from_options({**common, option.name: end})
                rates = build.build_learning_rates(config, 3, ALONE)
            except UserError:
                continue
            assert all(isfinite(rate) and rate >= 0 for rate in rates)
            accepted += 1
    assert accepted >= 12


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"scheduler": "exponential_decay", "decay_rate": 1e9}, "decay_rate=1000000000.0"),
        ({"num_cycles": 90, "cycle_decay": 2e9}, "cycle_decay=2000000000.0"),
        (
            {
                "lr": 2e9,
                "lr_scale": "linear",
                "lr_scale_batch": 1,
                "scheduler": "step_decay",
                "decay_epochs": 1e-6,
                "decay_rate": 1.1,
            },
            "decay_rate=1.1",
        ),
    ],
)
def test_learning_rates_that_float32_cannot_hold_are_refused(options, named):
    with pytest.raises(UserError, match=rf"{named}.* make the learning rate exceed 1e\+38: lower them$"):
        build.build_learning_rates(Config.from_options(options), 3, ALONE)


def test_more_updates_than_memory_holds_are_refused_before_they_are_computed():
    config = Config.from_options({"epoch_size": 100_000})
    expected = "epoch_size=100000 makes 50100000 updates, more than 50000000: lower it"
    with pytest.raises(UserError, match=f"^{expected}$"):
        build.build_learning_rates(config, 501, ALONE)


def test_every_number_has_a_largest_value():
    for section in SECTIONS.values():
        for option in options_of(section):
            if option.range is not None and option.range.high == inf:
                with pytest.raises(UserError, match=f"give at most {LARGEST}$"):
                    section(**{option.field: LARGEST + 1})
