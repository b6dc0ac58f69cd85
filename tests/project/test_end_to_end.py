"""The programs as a user meets them: real processes, real files, another working directory than the clone."""

import csv
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from mindcv import create_model
from mindcv.errors import UserError
from mindcv.programs import train as train_program
from mindcv.programs import validate as validate_program
from mindcv.runtime.environment import accelerator_present

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "configs" / "mnasnet"
README = (ROOT / "README.md").read_text(encoding="utf-8")

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
    r"|global batch \d+ = 1 x \d+, peak lr [\d.e-]+"
)
SCORE = r"top-1 (\d\.\d{4})  top-5 (\d\.\d{4})  loss (\d+\.\d{4})"


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


def train(*arguments: object, cwd: Path) -> Finished:
    return run(ROOT / "train.py", "-c", RECIPES / "mnasnet0.75_gpu.yaml", *arguments, cwd=cwd)


def validate(*arguments: object, cwd: Path) -> Finished:
    recipe = RECIPES / "mnasnet0.75_ascend.yaml"
    return run(ROOT / "validate.py", "-c", recipe, "--image_resize=32", "--batch_size=7", *arguments, cwd=cwd)


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class TrainingRun:
    """A training run and the folder it ran in."""

    process: Finished
    cwd: Path

    @property
    def folder(self) -> Path:
        return self.cwd / "ckpt"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "mnasnet_075-2.ckpt"


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """README's training command on the photos, in graph mode."""
    cwd = tmp_path_factory.mktemp("graph run")
    return TrainingRun(train("--data_dir", photos, *SMALL_RUN, cwd=cwd), cwd)


def test_training_ends_with_a_summary_and_says_nothing_but_notices_on_stderr(trained: TrainingRun):
    assert (trained.process.status, trained.process.errors) == (0, [])
    *epochs, length, best, where = trained.process.output.splitlines()
    for number, line in enumerate(epochs, start=1):
        progress = rf"epoch {number}/2  loss \d\.\d{{4}}  lr [\d.e-]+  \d+ images/s  \|  validation: {SCORE}"
        assert re.fullmatch(progress, line)
    assert len(epochs) == 2
    assert re.fullmatch(r"2 epochs in \d+ s", length)
    assert re.fullmatch(rf"best epoch [12]: {SCORE}", best)
    assert where == f"curve: {Path('ckpt/curve.png')}   table: {Path('ckpt/history.csv')}"


def test_training_leaves_checkpoints_table_and_curve_and_nothing_else(trained: TrainingRun):
    assert files_below(trained.cwd) == {
        f"ckpt/{name}"
        for name in (
            "mnasnet_075-1.ckpt",
            "mnasnet_075-2.ckpt",
            "mnasnet_075_best.ckpt",
            "history.csv",
            "curve.png",
        )
    }
    assert [row["epoch"] for row in history(trained.folder)] == ["1", "2"]
    assert [row["step"] for row in history(trained.folder)] == ["9", "18"]


def test_the_training_loss_falls(trained: TrainingRun):
    first, last = (float(row["train_loss"]) for row in history(trained.folder))
    assert last < first


def test_validate_scores_the_last_checkpoint_as_training_did(trained: TrainingRun, photos: Path):
    process = validate(
        f"--data_dir={photos}", f"--ckpt_path={trained.checkpoint}", "--device_target=CPU", cwd=trained.cwd
    )
    assert (process.status, process.errors) == (0, [])
    top1, top5, loss = re.fullmatch(SCORE + "\n", process.output).groups()
    last = history(trained.folder)[-1]
    assert (top1, top5) == (f"{float(last['top1']):.4f}", f"{float(last['top5']):.4f}")
    # In training the batches had 8 images instead of 7, so that the sum of the losses is rounded otherwise.
    assert float(loss) == pytest.approx(float(last["val_loss"]), abs=2e-4)


@pytest.mark.slow
def test_pynative_mode_trains_to_the_same_losses_and_scores(
    trained: TrainingRun, photos: Path, tmp_path: Path
):
    process = train("--data_dir", photos, *SMALL_RUN, "--mode", "1", cwd=tmp_path)
    assert (process.status, process.errors) == (0, [])
    assert files_below(tmp_path) == files_below(trained.cwd)
    for graph, pynative in zip(history(trained.folder), history(tmp_path / "ckpt"), strict=True):
        for column in ("train_loss", "val_loss"):
            assert float(pynative[column]) == pytest.approx(float(graph[column]), rel=1e-4)
        for column in ("epoch", "step", "lr", "top1", "top5"):
            assert pynative[column] == graph[column]


def test_create_model_loads_a_checkpoint_of_a_training_run(trained: TrainingRun):
    network = create_model("mnasnet_075", checkpoint_path=str(trained.checkpoint))
    fresh = create_model("mnasnet_075")
    names = [p.name for p in network.get_parameters()]
    assert names == [p.name for p in fresh.get_parameters()]
    classifier = network.parameters_dict()["classifier.bias"].asnumpy()
    assert np.abs(classifier).max() > 0, "fresh ones are zero"


def test_create_model_names_the_first_parameter_that_differs_in_a_checkpoint(trained: TrainingRun):
    with pytest.raises(UserError, match=r"'features\.0\.weight' has shape \(24, 3, 3, 3\)") as caught:
        create_model("mnasnet_050", checkpoint_path=str(trained.checkpoint))
    assert "\n" not in str(caught.value)


def test_the_notebook_lines_of_the_readme_run_without_a_word(tmp_path: Path):
    (lines,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    process = run("-c", lines, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert process == Finished(0, "", [])
    assert files_below(tmp_path) == set()


def test_an_installed_package_imports_from_any_folder(tmp_path: Path):
    pytest.importorskip("setuptools")
    source, target, elsewhere = (tmp_path / name for name in ("source", "target", "elsewhere"))
    elsewhere.mkdir()
    shutil.copytree(ROOT / "mindcv", source / "mindcv", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "requirements.txt"):
        shutil.copy(ROOT / name, source)
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    process = run("-m", "pip", "install", *options, "--target", target, "-e", source, cwd=elsewhere)
    assert process.status == 0, process.errors
    shown = run("-m", "pip", "show", "mindcv", cwd=elsewhere, PYTHONPATH=str(target))
    assert shown.output.startswith("Name: mindcv\nVersion: 0."), shown.errors
    program = f"import site; site.addsitedir({str(target)!r}); import mindcv; print(mindcv.__file__)"
    imported = run("-c", program, cwd=elsewhere)
    assert imported == Finished(0, f"{source / 'mindcv' / '__init__.py'}\n", [])


def refusal(process: Finished) -> str:
    """The one line with which a program refused what a user wanted."""
    assert process.status == 2
    assert process.output == ""
    (line,) = process.errors
    return line


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> Iterator[Callable[..., Finished]]:
    """A function that runs a program in this process, which spares the seconds that MindSpore takes to start.

    Its working directory is `tmp_path`.
    """
    logger = logging.getLogger("mindcv")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.chdir(tmp_path)
    level, on_sigterm = logger.level, signal.getsignal(signal.SIGTERM)

    def run_inside(main: Callable[[], None], recipe: str, *arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", [main.__module__, "-c", str(RECIPES / recipe), *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        output, errors = capfd.readouterr()
        return Finished(
            ended.value.code, output, [e for e in errors.splitlines() if not NOTICES.fullmatch(e)]
        )

    yield run_inside
    signal.signal(signal.SIGTERM, on_sigterm)
    logger.setLevel(level)
    ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.fixture
def train_inside(inside) -> Callable[..., Finished]:
    return partial(inside, train_program.main, "mnasnet0.75_gpu.yaml", *SMALL_RUN)


@pytest.fixture
def validate_inside(inside) -> Callable[..., Finished]:
    sizes = ("--image_resize=32", "--batch_size=7", "--device_target=CPU")
    return partial(inside, validate_program.main, "mnasnet0.75_ascend.yaml", *sizes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: data_dir is not set: give the folder of dataset=imagenet"),
        (
            ["--data_dir", "nowhere"],
            "error: nowhere is not a folder of images: data_dir should hold one folder per class, "
            "as in nowhere/train/CLASS/IMAGE.jpg",
        ),
        (
            ["--data_dir", "PHOTOS", "--model", "mnasnet_07"],
            "error: unknown model 'mnasnet_07'; did you mean 'mnasnet_075'?",
        ),
        (
            ["--data_dir", "PHOTOS", "--num_classes", "2"],
            "error: num_classes=2 is too small: PHOTOS/train has the label 2, so give 3 or more",
        ),
        (
            ["--data_dir", "PHOTOS", "--batch_size", "73"],
            "error: 72 images of PHOTOS/train do not fill one batch of batch_size=73: "
            "lower batch_size or add images",
        ),
        (
            ["--data_dir", "PHOTOS", "--ckpt_save_dir", "a file"],
            "error: ckpt_save_dir=a file cannot be written (File exists): choose another one",
        ),
    ],
)
def test_training_refuses_a_users_mistake_in_one_line(
    arguments: list[str], message: str, photos: Path, tmp_path: Path, train_inside: Callable[..., Finished]
):
    (tmp_path / "a file").touch()
    given = [argument.replace("PHOTOS", str(photos)) for argument in arguments]
    assert refusal(train_inside(*given)) == message.replace("PHOTOS", str(photos))
    assert files_below(tmp_path) == {"a file"}
    assert not (tmp_path / "ckpt").exists()


def test_a_class_missing_in_validation_is_named(
    photos: Path, tmp_path: Path, train_inside: Callable[..., Finished]
):
    copy = tmp_path / "copy"
    shutil.copytree(photos, copy)
    shutil.rmtree(copy / "val" / "Äpfel und Birnen 苹果")
    assert refusal(train_inside("--data_dir", copy)) == (
        f"error: {copy}/train has the class 'Äpfel und Birnen 苹果', which {copy}/val lacks: "
        f"add it there, or list all classes in {copy}/classes.txt, one per line"
    )


@pytest.mark.skipif(accelerator_present(), reason="this machine has an accelerator")
def test_a_device_that_is_not_there_is_refused(photos: Path, tmp_path: Path):
    process = train("--data_dir", photos, *SMALL_RUN, "--device_target", "GPU", cwd=tmp_path)
    assert refusal(process).startswith("error: device_target=GPU cannot be used")


def test_validate_refuses_a_checkpoint_that_is_missing(photos: Path, tmp_path: Path):
    process = validate("--data_dir", photos, "--ckpt_path", "no.ckpt", cwd=tmp_path)
    assert refusal(process) == "error: no.ckpt: no such checkpoint: check the path"


def test_validate_refuses_a_truncated_checkpoint(
    trained: TrainingRun, photos: Path, tmp_path: Path, validate_inside: Callable[..., Finished]
):
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(trained.checkpoint.read_bytes()[:-1000])
    process = validate_inside("--data_dir", photos, "--ckpt_path", cut)
    assert refusal(process) == f"error: {cut}: the checkpoint is truncated or damaged: use another one"


def test_validate_refuses_a_checkpoint_of_another_model(
    trained: TrainingRun, photos: Path, validate_inside: Callable[..., Finished]
):
    process = validate_inside(
        "--data_dir", photos, "--ckpt_path", trained.checkpoint, "--model", "mnasnet_050"
    )
    error = refusal(process)
    assert error.startswith(
        f"error: {trained.checkpoint}: 'features.0.weight' has shape (24, 3, 3, 3), and (16, 3, 3, 3) in the "
        "network; "
    )
    assert error.endswith(" more: choose the model, num_classes and in_channels that the file was made with")
