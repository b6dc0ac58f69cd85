"""measure-memory as a process, and a long run's memory."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Trains for 1,074 steps, and prints its resident memory after each epoch with a validation and a checkpoint.
LONG_RUN = """
import sys
from pathlib import Path
from mindcv.build import create_trainer
from mindcv.config import load_config
from mindcv.engine import RunCallback

class Memory(RunCallback):
    def on_epoch_result(self, run):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        print("resident:", run.batches, pages * 4096 / 1e6)

create_trainer(load_config(sys.argv[1:]), callbacks=[Memory()]).fit()
"""


def run(*arguments: object) -> str:
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(pattern: str, line: str) -> list[float]:
    found = re.fullmatch(pattern, line)
    assert found, line
    return [float(text.replace(",", "")) for text in found.groups()]


@pytest.mark.slow
def test_the_memory_of_a_batch_size_is_a_line_and_training_needs_more_than_evaluation():
    options = ("--model=mnasnet_050", "--image_size=96", "--steps=1", "--batch_sizes", 2, 64)
    start, *lines = run("-m", "tools.measure_memory", *options).splitlines()
    (empty,) = numbers(r"mnasnet_050, 96 px: ([\d,]+) MB without images", start)
    assert 100 < empty < 2000
    pattern = r"batch size +(\d+): +([\d,]+) MB in evaluation, +([\d,]+) MB in training"
    found = [numbers(pattern, line) for line in lines]
    assert [size for size, *_ in found] == [2, 64]
    (_, small, small_training), (_, large, large_training) = found
    assert empty < small < large < large_training
    assert small_training < large_training


@pytest.mark.slow
def test_the_memory_of_a_thousand_steps_does_not_grow(tmp_path):
    options = ["-c", "configs/mnasnet/mnasnet0.75_digits_cpu.yaml", "--model=mnasnet_050", "--epoch_size=6"]
    options += ["--batch_size=8", "--image_resize=16", "--crop_padding=1", "--log_interval=1"]
    options += [f"--data_dir={tmp_path / 'digits'}", f"--ckpt_save_dir={tmp_path / 'run'}"]
    found = re.findall(r"resident: (\d+) ([\d.]+)", run("-c", LONG_RUN, *options))
    batches, resident = zip(*[(int(count), float(size)) for count, size in found], strict=True)
    assert batches == (179, 358, 537, 716, 895, 1074)
    assert max(resident[2:]) - resident[1] < 15, resident
