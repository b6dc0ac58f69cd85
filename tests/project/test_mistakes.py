"""A user's mistakes are refused in one line, by programs that run in this process.

That the programs do the same as processes of their own is shown in test_end_to_end.py.
"""

import logging
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import mindspore as ms
import pytest

from mindcv import create_model
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.programs import train as train_program
from mindcv.programs import validate as validate_program
from tests.support.programs import NOTICES, RECIPES, SMALL_RUN, Finished, files_below, refusal


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a network of 1000 classes."""
    path = tmp_path_factory.mktemp("weights") / "mnasnet_075.ckpt"
    write_checkpoint(path, create_model("mnasnet_075").parameters_dict(), {})
    return path


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> Iterator[Callable[..., Finished]]:
    """A function that runs a program in this process, so that MindSpore need not start again.

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
            "error: unknown model 'mnasnet_07'; did you mean 'mnasnet_075'? "
            "(python -m mindcv summary --list lists all models)",
        ),
        (
            ["--data_dir", "PHOTOS", "--num_classes", "2"],
            "error: num_classes=2 is too small: PHOTOS/train has 3 classes, so give 3 or more",
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


def test_validate_refuses_a_truncated_checkpoint(
    checkpoint: Path, photos: Path, tmp_path: Path, validate_inside: Callable[..., Finished]
):
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(checkpoint.read_bytes()[:-1000])
    process = validate_inside("--data_dir", photos, "--ckpt_path", cut)
    assert refusal(process) == f"error: {cut}: the checkpoint is truncated or damaged: use another one"


def test_validate_refuses_a_checkpoint_of_another_model(
    checkpoint: Path, photos: Path, validate_inside: Callable[..., Finished]
):
    process = validate_inside("--data_dir", photos, "--ckpt_path", checkpoint, "--model", "mnasnet_050")
    error = refusal(process)
    assert error.startswith(
        f"error: {checkpoint}: 'features.0.weight' has shape (24, 3, 3, 3), and (16, 3, 3, 3) in the "
        "network; "
    )
    assert error.endswith(" more: choose the model, num_classes and in_channels that the file was made with")
