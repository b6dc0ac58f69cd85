"""Timing of input: counts, and the arithmetic of what hosts need."""

import numpy as np
from mindspore import Tensor

from mindcv.engine.input_timing import EndToEnd, HostNeeds, InputPass, InputTimes, compare_steps, time_input


def test_a_pass_counts_images_bytes_and_its_own_time(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(bytes(50_000))

    def batches():
        for count in (4, 4, 3):
            file.read_bytes()
            yield np.zeros((count, 3, 2, 2), np.uint8), np.zeros(count, np.int32)

    timed = time_input(batches())
    assert timed.images == 11
    assert timed.bytes_delivered == 11 * (12 + 4)
    assert timed.bytes_read is not None
    assert 150_000 <= timed.bytes_read < 170_000
    assert 0 < timed.first_batch_seconds < timed.seconds
    assert 0 <= timed.cpu_seconds < timed.seconds + 1


def measured(seconds: float, cpu_seconds: float, bytes_read: int | None = 400) -> InputPass:
    return InputPass(
        images=4,
        seconds=seconds,
        first_batch_seconds=seconds / 4,
        cpu_seconds=cpu_seconds,
        bytes_read=bytes_read,
        bytes_delivered=48,
    )


def test_the_figures_are_medians_and_the_needs_follow_from_them():
    times = InputTimes(passes=(measured(1, 4), measured(2, 8), measured(100, 12)))
    assert (times.images_per_second, times.cpu_seconds_per_image) == (2.0, 2.0)
    assert (times.first_batch_seconds, times.bytes_read_per_image) == (0.5, 100)
    assert times.needs(50) == HostNeeds(
        cores=100.0, read_bytes_per_second=5000.0, device_bytes_per_second=600.0
    )


def test_bytes_that_are_not_counted_are_unknown():
    times = InputTimes(passes=(measured(1, 4, None),))
    assert times.needs(50).read_bytes_per_second is None


def test_an_empty_pass_has_no_first_batch():
    timed = time_input(iter(()))
    assert (timed.images, timed.bytes_delivered) == (0, 0)
    assert timed.first_batch_seconds == timed.seconds


def test_blocks_of_steps_alternate_between_a_batch_in_memory_and_the_pipelines():
    taken = []

    def step(batch):
        taken.append(batch)
        return Tensor(0.0)

    times = compare_steps(step, ("memory",), ((number,) for number in range(99)), steps=2, blocks=3, wait=0)
    assert taken == [
        "memory",
        0,
        *("memory", "memory", 1, 2),
        *("memory", "memory", 3, 4),
        "memory",
        "memory",
        5,
        6,
    ]
    assert len(times.fixed) == len(times.real) == 3
    assert all(seconds > 0 for seconds in (*times.fixed, *times.real))


def test_the_ratio_is_the_median_over_pairs_of_blocks():
    assert EndToEnd(fixed=(1.0, 2.0, 3.0), real=(2.0, 2.0, 30.0)).ratio == 0.5
