"""A built wheel contains all that training needs, far from the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "requirements.txt", "mindcv", "configs")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """An empty folder with the package, installed from a wheel of a copy of the sources."""
    project = tmp_path_factory.mktemp("project")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "kernel_meta")
            shutil.copytree(source, project / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, project / name)
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", "dist", "."]
    subprocess.run(build, cwd=project, check=True, timeout=120)
    (wheel,) = (project / "dist").glob("mindcv-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", target, wheel], check=True, timeout=120)
    return target


def run(installed: Path, folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_the_installed_package_trains_a_recipe_by_its_name(installed, tmp_path):
    ran = run(
        installed,
        tmp_path,
        *(sys.executable, "-m", "mindcv", "train", "-c", "mnasnet0.75_digits_cpu.yaml"),
        *("--model", "mnasnet_small", "--image_resize", "32", "--num_samples", "64", "--mode", "1"),
        *("--epoch_size", "1", "--warmup_epochs", "0", "--num_parallel_workers", "1"),
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "ckpt" / "digits" / "mnasnet_small_best.ckpt").is_file()
    assert (tmp_path / "data" / "digits" / "val").is_dir()


def test_a_notebook_far_away_uses_the_installed_package(installed, tmp_path):
    script = (
        "import mindcv\n"
        "from mindcv import create_model, list_models\n"
        "print(mindcv.__file__, len(list_models('mnasnet*')) > 4)\n"
        "print(create_model('mnasnet_small', num_classes=7).classifier.weight.shape)\n"
    )
    ran = run(installed, tmp_path, sys.executable, "-c", script)
    assert (ran.returncode, ran.stdout) == (0, f"{installed}/mindcv/__init__.py True\n(7, 1280)\n")


def test_the_command_is_installed(installed, tmp_path):
    ran = run(installed, tmp_path, sys.executable, installed / "bin" / "mindcv", "--help")
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (0, "usage: mindcv VERB [options]")


def test_the_installed_recipes_are_those_of_the_repository(installed):
    ours = {path.name: path.read_bytes() for path in (ROOT / "configs" / "mnasnet").glob("*.yaml")}
    assert {path.name: path.read_bytes() for path in (installed / "mindcv" / "recipes").glob("*")} == ours
