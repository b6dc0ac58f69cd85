"""Training on the digits: README's first command, confirmed by validation, and RMSProp's recipe."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = "configs/mnasnet/mnasnet0.75_digits_cpu.yaml"
RMSPROP_RECIPE = "configs/mnasnet/mnasnet0.75_digits_rmsprop.yaml"
TOP1 = 0.97
SECONDS = 180  # README says less than a minute of training, and MindSpore starts twice

pytestmark = pytest.mark.slow


def readme_command() -> list[str]:
    """The command that README gives a new user, as arguments of Python."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(rf"\.venv/bin/python (train\.py -c {re.escape(RECIPE)})$", readme, re.MULTILINE)
    return command.split()


def run(*arguments: str, cwd: Path) -> str:
    """Run Python in another folder than the clone; names of the clone's files lead there. Returns stdout."""
    paths = [str(ROOT / argument) if (ROOT / argument).is_file() else argument for argument in arguments]
    chosen_on_import = ("ONEDNN_MAX_CPU_ISA", "MS_DEV_HOST_BLOCKING_RUN", "OMP_NUM_THREADS")
    fresh = {name: value for name, value in os.environ.items() if name not in chosen_on_import}
    done = subprocess.run(
        [sys.executable, *paths], cwd=cwd, env=fresh, capture_output=True, encoding="utf-8", timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.digits
def test_the_main_job_reaches_its_accuracy_in_time_and_validation_confirms_it(tmp_path: Path):
    started = monotonic()
    output = run(*readme_command(), cwd=tmp_path)
    seconds = monotonic() - started
    folder = tmp_path / "ckpt" / "digits"
    with (folder / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best = max(float(row["top1"]) for row in rows)
    assert best >= TOP1, output
    assert f"best epoch {[float(row['top1']) for row in rows].index(best) + 1}: top-1 {best:.4f}" in output
    checkpoint = str(folder / "mnasnet_075_best.ckpt")
    assert run("validate.py", "-c", RECIPE, "--ckpt_path", checkpoint, cwd=tmp_path).startswith(
        f"top-1 {best:.4f}  "
    )
    assert (folder / "curve.png").is_file()
    assert seconds < SECONDS, output


def test_rmsprop_reaches_the_same_accuracy(tmp_path: Path):
    output = run("train.py", "-c", RMSPROP_RECIPE, cwd=tmp_path)
    (best,) = re.findall(r"^best epoch \d+: top-1 (\d\.\d{4})", output, re.MULTILINE)
    assert float(best) >= TOP1, output
