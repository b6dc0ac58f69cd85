"""Help and wrong options are answered at once: before MindSpore is imported."""

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest

from mindcv.__main__ import VERBS

ROOT = Path(__file__).parents[2]

# Runs a program in this process and then reports whether it has imported MindSpore.
PROBE = """
import atexit, runpy, sys
atexit.register(lambda: print("imported" if "mindspore" in sys.modules else "light", file=sys.stderr))
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""

MISTAKES = {
    "train": (["--lerning_rate", "1"], "command line: unknown option 'lerning_rate'; did you mean 'lr'?"),
    "validate": (["--lr", "x"], "command line: lr=x does not fit: give a number"),
    "infer": ([], "there is nothing to classify: give images, folders or patterns"),
    "export": (["--format", "pb"], "command line: argument --format: invalid choice: 'pb' (choose from "),
    "convert": (["a.ckpt"], "command line: the following arguments are required: OUTPUT"),
    "add-checksum": ([], "command line: the following arguments are required: FILE"),
    "compare-runs": (["a"], "1 runs were given: give from 2 to 8 folders"),
    "summary": (["m", "--image_size", "0"], "command line: argument --image_size: 0 must be a positive "),
    "benchmark": (["--image_size", "4"], "image_resize=4 is out of range: give 8 to 2048 pixels"),
    "compare": (["--repeats", "0"], "command line: argument --repeats: 0 must be a positive integer"),
    "benchmark-input": (["--passes", "0"], "command line: argument --passes: 0 must be a positive integer"),
    "compare-input": ([], "command line: the following arguments are required: DATA_DIR"),
    "find-learning-rate": (["--step", "3"], "command line: unknown option 'step'; "),
    "average-checkpoints": (["--last", "x"], "command line: argument --last: invalid int value: 'x'"),
    "check-device": (
        ["--modes", "both"],
        "command line: argument --modes: invalid choice: 'both' (choose from ",
    ),
    "measure-memory": (["--steps", "0"], "command line: argument --steps: 0 must be a positive integer"),
    "pack": (["a", "b", "--quality", "101"], "command line: argument --quality: 101 must be a JPEG quality"),
    "measure-scaling": (["--mode", "3"], "command line: argument --mode: invalid choice: 3 (choose from "),
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_program_has_a_mistake_to_be_tested_with():
    assert set(MISTAKES) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_needs_no_mindspore(verb):
    ran = run("-c", PROBE, f"mindcv.programs.{verb.replace('-', '_')}", "--help")
    assert (ran.returncode, ran.stderr) == (0, "light\n")
    assert ran.stdout.startswith("usage: ")


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_option_is_one_line_and_needs_no_mindspore(verb):
    arguments, expected = MISTAKES[verb]
    ran = run("-c", PROBE, f"mindcv.programs.{verb.replace('-', '_')}", *arguments)
    line, light = ran.stderr.splitlines()
    assert (ran.returncode, ran.stdout, light) == (2, "", "light")
    assert line.startswith(f"error: {expected}")


MISSING = {
    ("train",): "data_dir is not set: give the folder of dataset=imagenet",
    (
        "find_learning_rate",
        "--data_dir",
        "no",
    ): "no is not a folder of images: data_dir should hold one folder "
    "per class, as in no/train/CLASS/IMAGE.jpg",
    ("train", "--data_dir", "docs", "--ckpt_path", "no.ckpt"): "no.ckpt: no such checkpoint: check the path",
    ("train", "--data_dir", "docs", "--resume", "no.ckpt"): "no.ckpt: no such checkpoint: check the path",
    ("train", "--data_dir", "docs", "--resume", "true"): "resume=true: no such checkpoint: give a file, or "
    "auto for the newest one",
    ("train", "--data_dir", "docs"): "docs/train is not a folder of images: data_dir should hold one folder "
    "per class, as in docs/train/CLASS/IMAGE.jpg",
    ("validate",): "ckpt_path is not set, and random weights need no score: give --ckpt_path FILE, or "
    "--pretrained true",
    ("validate", "--ckpt_path", "no.pth"): "no.pth: no such file: check the path",
    ("infer", "a.jpg", "--ckpt_path", "no.onnx"): "no.onnx: no such ONNX file: check the path",
    ("export", "--format", "onnx", "--output", "a.onnx", "--ckpt_path", "no.ckpt"): "no.ckpt: no such "
    "checkpoint: check the path",
}


@pytest.mark.parametrize("arguments", MISSING, ids=" ".join)
def test_a_missing_file_or_folder_is_one_line_and_needs_no_mindspore(arguments):
    program, *rest = arguments
    ran = run("-c", PROBE, f"mindcv.programs.{program}", *rest)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"error: {MISSING[arguments]}\nlight\n")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["--lerning_rate", "1"]], ids=["help", "mistake"])
def test_help_and_mistakes_are_answered_in_half_a_second(arguments):
    times = []
    for _ in range(5):
        start = perf_counter()
        run("train.py", *arguments)
        times.append(perf_counter() - start)
    assert median(times) < 0.5


def test_the_package_is_imported_in_milliseconds_and_lists_its_names():
    script = (
        "import sys, mindcv; print('mindspore' in sys.modules, set(mindcv.__all__) <= set(dir(mindcv)), "
        "all(getattr(mindcv, name) for name in mindcv.__all__))"
    )
    assert run("-c", script).stdout == "False True True\n"
    ran = run("-c", "import mindcv; mindcv.create_modle")
    expected = "AttributeError: module 'mindcv' has no attribute 'create_modle'"
    assert ran.stderr.splitlines()[-1].startswith(expected)


def test_training_is_prepared_without_what_only_its_end_needs():
    script = "import sys; from mindcv.build import create_trainer; print({*sys.argv[1:]} & {*sys.modules})"
    assert run("-c", script, "matplotlib", "sklearn", "onnx", "onnxruntime", "torch").stdout == "set()\n"
