"""Every optimizer against its formula in float64, for tensors that reach all paths of MindSpore's kernels.

That one core computes the same as two is shown by the slow tests only.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.optim.at_sizes import LR, SIZES, decay_of, gradients, starts
from tests.optim.rules import CASES

ROOT = Path(__file__).parents[2]
MODES = {"graph": 0, "pynative": 1}


@pytest.fixture(
    scope="module",
    params=[pytest.param(1, id="one core", marks=pytest.mark.slow), pytest.param(2, id="two cores")],
)
def updated(request, tmp_path_factory):
    """Parameters after the updates, by mode, case and size."""
    out = tmp_path_factory.mktemp("sizes") / "parameters.npz"
    command = [sys.executable, "-m", "tests.optim.at_sizes", str(request.param), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr
    with np.load(out) as arrays:
        return dict(arrays)


@cache
def expected(case: str, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters in float64 after the updates, float32's tolerance, and which elements are comparable."""
    options, rule = CASES[case]
    weight = starts()[index].astype(np.float64)
    state: dict = {}
    path, largest = np.zeros_like(weight), abs(weight)
    for t, step in enumerate(gradients(), 1):
        moved = rule(weight, step[index].astype(np.float64), LR, decay_of(options), state, t)
        path += abs(moved - weight)
        weight = moved
        largest = np.maximum(largest, abs(weight))
    # Each update rounds the weight once, and its own length by much less than 1e-5.
    tolerance = 1e-5 * path + t * 2.0**-24 * largest
    return weight, tolerance, ~np.broadcast_to(state.get("unclear", False), weight.shape)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_200_updates_follow_the_formula_at_every_size(updated, case, mode):
    for index, size in enumerate(SIZES):
        weight, tolerance, comparable = expected(case, index)
        error = abs(updated[f"{MODES[mode]}/{case}/{size}"] - weight)
        assert comparable.mean() > 0.99 or size < 100
        assert (error <= tolerance)[comparable].all(), f"{size} elements: {(error / tolerance).max():.1f}"
