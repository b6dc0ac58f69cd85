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
    """Parameters after the updates, by mode, kernels, case and size."""
    out = tmp_path_factory.mktemp("sizes") / "parameters.npz"
    command = [sys.executable, "-m", "tests.optim.at_sizes", str(request.param), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=900)
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
        assert comparable.mean() > 0.99 or size < 100
        found = {k: updated.get(f"{MODES[mode]}/{k}/{case}/{size}") for k in ("0", "1")}
        assert any(values is not None for values in found.values())
        for kernels, values in found.items():
            if values is not None:
                error = abs(values - weight)
                excess = f"{size} elements, kernels {kernels}: {(error / tolerance).max():.1f}"
                assert (error <= tolerance)[comparable].all(), excess


def test_every_formula_is_computed_by_mindspores_operators_too(updated):
    assert all(f"{MODES['graph']}/0/{case}/{size}" in updated for case in CASES for size in SIZES)
