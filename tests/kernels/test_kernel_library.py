"""The compiled kernels in the user's cache: built once, and again where they are damaged or out of date."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mindcv.kernels import library as module
from mindcv.kernels.library import KernelsUnavailableError, build_library, library, library_path

pytestmark = pytest.mark.skipif(library() is None, reason="there is no C++ compiler")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch) -> Callable[[], int]:
    """A compiler that copies what was compiled before; returns how often it was called."""
    calls, script = tmp_path / "calls", tmp_path / "c++"
    script.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then cat "$0.version"; exit; fi\n'
        f'echo >> "{calls}"; sleep 0.5\n'
        'while [ "$1" != -o ]; do shift; done\n'
        f'cp "{library_path()}" "$2"\n'
    )
    script.chmod(0o755)
    script.with_name("c++.version").write_text("1.0\n")
    monkeypatch.setenv("CXX", str(script))
    return lambda: len(calls.read_text()) if calls.exists() else 0


def test_the_library_is_compiled_once(compiler, tmp_path):
    path = build_library(tmp_path / "cache")
    assert path.read_bytes() == library_path().read_bytes()
    assert build_library(tmp_path / "cache") == path
    assert compiler() == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "no checksum", "empty checksum", "missing"])
def test_a_damaged_library_is_compiled_again(compiler, tmp_path, damage):
    path = build_library(tmp_path)
    content = path.read_bytes()
    checksum = path.with_name(f"{path.name}.sha256")
    if damage == "cut":
        path.write_bytes(content[:1000])
    elif damage == "flipped":
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    elif damage == "no checksum":
        checksum.unlink()
    elif damage == "empty checksum":
        checksum.write_bytes(b"\xff")
    else:
        path.unlink()
    assert build_library(tmp_path) == path
    assert path.read_bytes() == content
    assert compiler() == 2


def test_another_source_compiler_or_processor_has_a_library_of_its_own(compiler, tmp_path, monkeypatch):
    paths = [build_library(tmp_path)]
    (tmp_path / "c++.version").write_text("1.1\n")
    paths.append(build_library(tmp_path))
    monkeypatch.setattr(module, "_processor", lambda: "another")
    paths.append(build_library(tmp_path))
    source = shutil.copytree(module.SOURCE, tmp_path / "source")
    monkeypatch.setattr(module, "SOURCE", source)
    assert build_library(tmp_path) == paths[-1]
    with (source / "gemm.h").open("a") as file:
        file.write("// changed\n")
    paths.append(build_library(tmp_path))
    assert len(set(paths)) == compiler() == 4


@pytest.mark.slow
def test_of_several_processes_one_compiles(compiler, tmp_path):
    code = "import sys; from pathlib import Path; from mindcv.kernels.library import build_library\n"
    code += "print(build_library(Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(tmp_path / "cache")]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate(timeout=120)[0] for process in both}
    assert (len(paths), compiler()) == (1, 1)
    assert [path.suffix for path in sorted((tmp_path / "cache").glob("kernels*"))] == [".so", ".sha256"]


def test_a_failing_compiler_is_reported_with_its_first_error(tmp_path, monkeypatch):
    script = tmp_path / "c++"
    script.write_text(
        "#!/bin/sh\n[ $1 = --version ] || { echo 'in file'; echo 'x.h: error: no'; exit 1; } >&2\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    with pytest.raises(
        KernelsUnavailableError, match=r"c\+\+ fails \(x\.h: error: no\): install a working g\+\+$"
    ):
        build_library(tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*kernels*"))


def test_a_folder_that_cannot_be_written_is_reported(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "file"))
    with pytest.raises(
        KernelsUnavailableError,
        match=r"file/kernels-\d+ cannot be written \(Not a directory\): set MINDCV_HOME to a folder$",
    ):
        library_path.__wrapped__()


def test_a_folder_with_a_colon_is_reported(tmp_path):
    with pytest.raises(KernelsUnavailableError, match="has a colon in its name: set MINDCV_HOME"):
        build_library(tmp_path / "a:b")


def test_without_a_compiler_everything_works_and_one_line_says_what_is_missed(tmp_path):
    code = """
import mindspore as ms
from mindcv import create_model
from mindcv.optim import create_optimizer
network = create_model("mnasnet_050", num_classes=3)
for training in (True, False):
    print(network.set_train(training)(ms.ops.ones((2, 3, 32, 32))).shape)
print(create_optimizer(network.trainable_params(), "momentum", lr=0.1, momentum=0.9).fused)
"""
    environment = {**os.environ, "CXX": "no-such-compiler", "MINDCV_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == ["(2, 3)", "(2, 3)", "None"], done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "kernels" in line]
    assert line == (
        "CPU kernels are not used, and training and inference are several times slower: there is no C++ "
        "compiler (CXX=no-such-compiler): install g++"
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", ["-march=x86-64", "-march=x86-64-v3", "-DWIDE_VECTORS"])
def test_results_are_right_on_other_processors(options, tmp_path):
    script = tmp_path / "c++"
    script.write_text(f'#!/bin/sh\nexec g++ "$@" {options}\n')
    script.chmod(0o755)
    environment = {**os.environ, "CXX": str(script), "MINDCV_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "tests/kernels/test_feature_kernels.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("instructions", ["skylake-avx512", "znver4"])
def test_the_source_compiles_without_a_warning_for_newer_processors(instructions):
    command = ["g++", *module.FLAGS, f"-march={instructions}", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    done = subprocess.run(
        [*command, str(module.SOURCE / module.MAIN)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
