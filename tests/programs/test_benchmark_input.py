"""benchmark-input as a process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_input_of_a_recipe_is_measured_by_one_command(tmp_path):
    command = [sys.executable, "-m", "tools.benchmark_input"]
    command += ["-c", "configs/mnasnet/mnasnet0.75_digits_cpu.yaml", f"--data_dir={tmp_path}"]
    command += ["--images=256", "--passes=2", "--target_rate=1000", "--accelerators=4"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    machine, *lines = ran.stdout.splitlines()
    assert "medians of 2 passes over 256 images, batch size 32" in machine
    figures = {}
    for line in lines:
        label, _, text = line.partition(": ")
        figures[label] = (
            float(found[0].replace(",", "")) if (found := re.findall(r"[\d.,]*\d", text)) else None
        )
    assert figures["images/s"] > 100
    assert figures["batch per image"] == 6.9  # 3 * 48 * 48 bytes, and 4 of the label
    assert figures["read per image"] == 0  # small images are kept in memory
    assert figures["to the devices"] == 7
    assert abs(figures["cores"] - figures["CPU time per image"]) < 0.06


@pytest.mark.slow
def test_training_on_a_recipes_images_is_compared_with_a_batch_in_memory(tmp_path):
    command = [sys.executable, "-m", "tools.benchmark_input", "--end_to_end=4", "--passes=3"]
    command += ["-c", "configs/mnasnet/mnasnet0.75_digits_cpu.yaml", f"--data_dir={tmp_path}"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    machine, *lines = ran.stdout.splitlines()
    assert "mnasnet_075, 48 px, batch size 32, medians of 3 blocks of 4 steps" in machine
    memory, data, ratio = (float(line.rpartition(":")[2].split()[0]) for line in lines)
    assert 0.5 < ratio < 1.5
    assert memory > 1
    assert data > 1
    few = subprocess.run([*command, "--num_samples=64"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert few.returncode == 2
    assert few.stderr.splitlines()[-1] == (
        "error: --end_to_end 4 with --passes 3 takes 13 batches, and an epoch has 2: lower "
        "them or --batch_size"
    )
