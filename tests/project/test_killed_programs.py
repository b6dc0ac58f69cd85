"""Training, export and conversion, killed or with a full disk at each call that changes files.

`killed_programs.py` does it, in forked processes. Each test takes minutes.
"""

from pathlib import Path

import pytest

from tests.support.boundaries import FULL, FULL_ONCE, HALF_WAY, KILL, build, faults

pytestmark = [pytest.mark.slow, pytest.mark.hostile]
DRIVER = Path(__file__).with_name("killed_programs.py")
AT_RANDOM, ALL = -1, 0
DISTURBANCES = {"killed": KILL, "killed half-way": HALF_WAY, "disk full": FULL, "disk full once": FULL_ONCE}
OUTPUTS = ("onnx", "mindir", "ckpt", "safetensors", "pth", "average")
MODES = pytest.mark.parametrize("mode", ["pynative", "graph"])


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("library"))


@pytest.mark.parametrize("disturbance", DISTURBANCES)
@MODES
def test_a_run_disturbed_anywhere_ends_with_the_same_files(library, tmp_path, mode, disturbance):
    assert faults(library, DRIVER, tmp_path, mode, DISTURBANCES[disturbance], ALL) == []


@MODES
def test_a_run_killed_at_random_moments_ends_with_the_same_files(library, tmp_path, mode):
    assert faults(library, DRIVER, tmp_path, mode, AT_RANDOM, 35) == []


@pytest.mark.parametrize("disturbance", DISTURBANCES)
@pytest.mark.parametrize("output", OUTPUTS)
def test_an_output_is_the_old_file_or_the_new_one(library, tmp_path, output, disturbance):
    assert faults(library, DRIVER, tmp_path, output, DISTURBANCES[disturbance], ALL) == []
