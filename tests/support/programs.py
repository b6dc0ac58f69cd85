"""Programs as a user starts them on the photos: their processes, their words, and the files they leave."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

__all__ = ["NOTICES", "RECIPES", "ROOT", "SMALL_RUN", "Finished", "files_below", "refusal", "run"]

RECIPES = ROOT / "configs" / "mnasnet"

# The recipe, cut down to seconds. No dropout and no label smoothing: so graph and PyNative mode agree to the
# last bit, where tiny differences would grow by two orders of magnitude with every step.
SMALL_RUN = (
    *("--device_target", "CPU", "--epoch_size", "2", "--warmup_epochs", "0", "--decay_epochs", "2"),
    *("--image_resize", "32", "--scale", "[0.5, 1.0]", "--batch_size", "8", "--lr", "0.0002"),
    *("--drop_rate", "0", "--label_smoothing", "0", "--bn_momentum", "0.5"),
)
NOTICES = re.compile(
    r"distribute=True, but one process was started: one device is used"
    r"|num_parallel_workers=8 is more than this machine's cores: using \d+"
    r"|.*\.ckpt: scored with model=mnasnet_050 instead of mnasnet_075"
    r"|num_classes=1000, and .* has 3 classes: the other outputs have no images"
    r"|.*\.ckpt: stores no class names; its outputs are taken for the 3 classes of .* in their order"
    r"|global batch \d+ = 1 x \d+, peak lr [\d.e-]+"
)


@dataclass(frozen=True)
class Finished:
    """The result of a process; its notices are taken out of `errors`."""

    status: int
    output: str
    errors: list[str]


def run(*arguments: object, cwd: Path, **environment: str) -> Finished:
    """Run Python with the environment of a fresh shell."""
    ours = ("ONEDNN_MAX_CPU_ISA", "MS_DEV_HOST_BLOCKING_RUN", "OMP_NUM_THREADS", "PYTHONPATH")
    fresh = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**fresh, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    errors = [line for line in done.stderr.splitlines() if not NOTICES.fullmatch(line)]
    return Finished(done.returncode, done.stdout, errors)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def refusal(process: Finished) -> str:
    """The one line with which a program refused what a user wanted."""
    assert process.status == 2
    assert process.output == ""
    (line,) = process.errors
    return line
