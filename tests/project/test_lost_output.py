"""A training run whose output is lost keeps its checkpoints, and says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import bare_environment
from tests.support.programs import RECIPES, ROOT, SMALL_RUN, files_below

LOST = "standard output cannot be written ({}): nothing more is printed there"


def train(cwd: Path, photos: Path, output: int) -> tuple[int, str]:
    """Status and standard error of a run on the photos with this standard output."""
    recipe = RECIPES / "mnasnet0.75_gpu.yaml"
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", "-c", recipe, "--data_dir", photos, *SMALL_RUN],
        cwd=cwd,
        env=bare_environment(),
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "status"), [("No space left on device", 1), ("Broken pipe", 141)])
def test_training_without_an_output_goes_on_to_its_last_checkpoint(kind, status, photos, tmp_path):
    if kind == "Broken pipe":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open("/dev/full", os.O_WRONLY)
    ended, said = train(tmp_path, photos, writing)
    os.close(writing)
    assert ended == status
    assert said.count(LOST.format(kind)) == 1
    assert "Traceback" not in said
    names = (
        "mnasnet_075-1.ckpt",
        "mnasnet_075-2.ckpt",
        "mnasnet_075_best.ckpt",
        "history.csv",
        "curve.png",
        "metrics.jsonl",
    )
    assert files_below(tmp_path) == {f"ckpt/{name}" for name in (*names, "config.yaml")}
