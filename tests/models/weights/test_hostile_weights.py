"""Damaged and crafted files of weights: refused in a line, or read as another reader has them."""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.support.crafted_weights import KINDS
from tests.support.hostile_images import examine

pytestmark = pytest.mark.hostile

SECONDS, MEGABYTES = 1, 50
OWN = ("own.ckpt", "own.safetensors")


def attack(folder: Path, count: int, seed: int, step: int) -> None:
    """Read damaged files of all kinds in one process, and check what came of each.

    A process that ends or hangs fails `examine`, which names the file.
    """
    print(f"seed {seed}")
    reports = examine(folder, count, seed, step, module="tests.support.hostile_weights", timeout=500)
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for name, report in reports.items():
        outcome = report["outcome"].split(":")[0]
        assert outcome in ("refused", "equal", "other", "same bytes"), (name, report)
        assert report["seconds"] < SECONDS, (name, report)
        assert report["megabytes"] < MEGABYTES, (name, report)
        outcomes[name.split(",")[0]][outcome] += 1
    for kind, counts in outcomes.items():
        if kind in OWN:
            assert counts.total() > count + 8_000 / step
            assert counts["refused"] == counts.total() - counts["same bytes"], (kind, counts)
        else:
            assert counts.total() == count
            assert counts["refused"] > counts["other"], (kind, counts)
    assert outcomes["plain.ckpt"]["other"] > 0  # and not everything is refused


def test_damaged_files_are_refused_or_read_as_other_readers_do(tmp_path):
    attack(tmp_path, 100, 1, 11)


@pytest.mark.slow
def test_many_more_damaged_files_are_refused_or_read_as_other_readers_do(tmp_path):
    attack(tmp_path, 3000, random.SystemRandom().randrange(2**32), 1)
