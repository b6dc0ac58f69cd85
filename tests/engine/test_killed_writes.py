"""A run that is killed at any call that changes its files, or whose disk is full, ends as if undisturbed."""

from pathlib import Path

import pytest

from tests.support.boundaries import FULL, FULL_ONCE, HALF_WAY, KILL, build, faults

pytestmark = pytest.mark.hostile
DRIVER = Path(__file__).with_name("arithmetic_run.py")


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("library"))


def test_a_run_killed_at_each_call_that_changes_files_ends_with_the_same_files(library, tmp_path):
    assert faults(library, DRIVER, tmp_path, "latest", "short", HALF_WAY) == []


@pytest.mark.slow
def test_a_file_that_fails_once_costs_no_checkpoint_unless_it_is_one(library, tmp_path):
    assert faults(library, DRIVER, tmp_path, "latest", "short", FULL_ONCE) == []


@pytest.mark.slow
@pytest.mark.parametrize("scores", ["falls", "rises"])
@pytest.mark.parametrize("setting", ["latest", "top", "rare", "none"])
def test_a_run_that_keeps_other_files_is_as_safe(library, tmp_path, setting, scores):
    assert faults(library, DRIVER, tmp_path, setting, scores, KILL, HALF_WAY, FULL, FULL_ONCE) == []
