"""Two ranks with everything switched on: they learn the same, and what one rank alone would learn."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore as ms
import pytest
from distributed.jobs import SCRIPTS, mpirun, run
from distributed.recipes import COMPOSITION

pytestmark = pytest.mark.slow

modes = pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])


@pytest.fixture(scope="module")
def found(write: Callable[..., Path]) -> dict[str, Any]:
    """Return the results of composition.py, which is not run beside other jobs because it needs all cores."""
    folder = write(COMPOSITION)
    finished = run(mpirun(2, SCRIPTS / "composition.py", "-c", "recipe.yaml"), folder)
    assert (finished.status, finished.err) == (0, ""), finished
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


@modes
def test_ranks_that_use_all_ingredients_have_the_same_values_and_ema_values_to_the_bit(found, mode):
    run = found[f"trained {mode}"]
    assert run["learnt differ by"] == 0
    assert run["statistics differ by"] > 1e-3
    assert run["statistics differ after the exchange by"] == 0
    assert (run["updates"], run["averaged"], run["overflows"]) == (3, 3, 0)
    assert all(step > 0 for step in run["steps"].values())


@modes
def test_accumulation_on_two_ranks_is_one_rank_with_the_batches_of_all_in_one(found, mode):
    run = found[f"accumulated {mode}"]
    assert len(run["differences"]) == 6  # three parameters and their averages
    assert max(run["differences"].values()) < 1e-5
    assert min(run["steps"].values()) > 1e-3  # which says something


@modes
def test_an_overflow_on_one_rank_is_skipped_and_counted_on_all(found, mode):
    run = found[f"accumulated {mode}"]
    assert run["ranks differ by"] == 0
    counted = {"updates": 2, "averaged": 2, "overflows": 1}
    assert {name: run[name] for name in counted} == run["counted alone"] == counted
