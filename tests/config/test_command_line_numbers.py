"""Numbers on the command lines of programs that have no YAML file."""

import argparse

import pytest

from mindcv.config.command_line import channel_count, class_count, positive_int


@pytest.mark.parametrize(
    ("parse", "largest"), [(positive_int, 2**31 - 1), (class_count, 100_000), (channel_count, 1024)]
)
def test_a_number_is_read_up_to_the_largest(parse, largest):
    assert [parse("1"), parse(str(largest))] == [1, largest]
    for text in ("0", "-1", "1.5", "x", "", str(largest + 1), "9" * 5000):
        with pytest.raises(argparse.ArgumentTypeError):
            parse(text)


def test_a_number_that_is_too_large_is_refused_with_the_largest():
    with pytest.raises(argparse.ArgumentTypeError, match=r"^2147483647 is too large: give 1 to 100000$"):
        class_count("2147483647")
