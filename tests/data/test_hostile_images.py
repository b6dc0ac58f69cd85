"""Damaged, crafted and huge images: pixels as Pillow's or a named refusal, in bounded time and memory."""

import random
from typing import Any

import pytest

from tests.support.hostile_images import examine

pytestmark = pytest.mark.hostile

SECONDS, MEGABYTES = 5, 1000  # of processor time, and of memory beside that of the libraries
REFUSED = {
    **dict.fromkeys(
        ("gif", "webp", "jpeg2000", "ico", "tga"), "is not in an image format that MindSpore decodes"
    ),
    "16 bits png": "is a 16-bit grayscale PNG, of which MindSpore would use 8 bits: convert it to 8 bits",
    "16 bits tiff": "has more than 8 bits per channel: convert it to 8 bits",
}
# Damaged pixels of a JPEG, which has no checksum: where they exceed 0 to 255, versions of libjpeg differ.
OVERFLOWS = 0.03


def check_bounds(reports: dict[str, dict[str, Any]]) -> None:
    """Check time, memory and messages."""
    for name, report in reports.items():
        assert report["seconds"] < SECONDS, (name, report)
        assert report["megabytes"] < MEGABYTES, (name, report)
        assert len(report["outcome"]) < 120, (name, report)
        assert report["outcome"].isprintable(), (name, report)


def check_pixels(reports: dict[str, dict[str, Any]]) -> None:
    """Check that every image equals Pillow's or is refused, but for a few damaged JPEGs."""
    others = {
        name: r for name, r in reports.items() if r["outcome"].split(":")[0] not in ("equal", "refused")
    }
    for name, report in others.items():
        assert name.endswith("jpeg, damaged"), (name, report)
        assert report["outcome"].startswith("other: by"), (name, report)
    assert len(others) <= OVERFLOWS * len(reports), others


def test_files_of_all_forms_whole_and_damaged_are_as_pillow_reads_them_or_refused(tmp_path):
    reports = examine(tmp_path, "random", 500, 1)
    assert len(reports) == 500
    whole = {name: report["outcome"] for name, report in reports.items() if "damaged" not in name}
    assert len(whole) == 44
    for name, outcome in whole.items():
        assert outcome == (f"refused: {REFUSED[name]}" if name in REFUSED else "equal"), name
    check_bounds(reports)
    check_pixels(reports)


def test_no_flipped_bit_in_the_header_of_a_bmp_hangs_or_invents_pixels(tmp_path):
    reports = examine(tmp_path, "flipped")
    assert len(reports) == 2 * 54 * 8
    check_bounds(reports)
    check_pixels(reports)


@pytest.mark.slow
def test_two_thousand_more_files_are_as_pillow_reads_them_or_refused(tmp_path):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    reports = examine(tmp_path, "random", 2000, seed)
    assert len(reports) == 2000
    check_bounds(reports)
    check_pixels(reports)


@pytest.mark.slow
def test_the_largest_images_that_are_decoded_take_seconds_and_less_than_a_gigabyte(tmp_path):
    reports = examine(tmp_path, "huge")
    check_bounds(reports)
    outcomes = {name: report["outcome"] for name, report in reports.items()}
    decoded = {name for name, outcome in outcomes.items() if not outcome.startswith("refused")}
    assert decoded == {
        "8192: RGB {} jpeg",
        "8192: RGB {'progressive': True} jpeg",
        "8192: CMYK {'progressive': True} jpeg",
        "8192: rle bmp",
        "16 bits png 2 0",
        "16 bits png 6 0",
        "16 bits png 6 1",
        "90 scans",
    }
    assert outcomes["65500: RGB {} jpeg"] == (
        "refused: has 65500 x 65500 pixels, more than max_image_pixels=67108864"
    )
    assert outcomes["many scans"] == "refused: is a damaged JPEG"
    assert outcomes["a line"] == "refused: has 60000 x 1 pixels: one side is more than 100 times the other"
