"""The programs as a user meets them: real processes, real files, another working directory than the clone."""

import csv
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mindcv import create_model
from mindcv.config import load_config
from mindcv.errors import UserError
from mindcv.runtime.environment import accelerator_present
from tests.support.programs import RECIPES, ROOT, SMALL_RUN, Finished, files_below, refusal, run

README = (ROOT / "README.md").read_text(encoding="utf-8")

SCORE = r"top-1 (\d\.\d{4})  top-5 (\d\.\d{4})  loss (\d+\.\d{4})"


def train(*arguments: object, cwd: Path) -> Finished:
    return run(ROOT / "train.py", "-c", RECIPES / "mnasnet0.75_gpu.yaml", *arguments, cwd=cwd)


def validate(*arguments: object, cwd: Path) -> Finished:
    recipe = RECIPES / "mnasnet0.75_ascend.yaml"
    return run(ROOT / "validate.py", "-c", recipe, "--image_resize=32", "--batch_size=7", *arguments, cwd=cwd)


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


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
    lines = trained.process.output.splitlines()
    opening, epochs, (length, best, where, then) = lines[:8], lines[8:-4], lines[-4:]
    names = ["device", "model", "weights", "data", "options", "output", "compiling", "first"]
    assert [line.split()[0] for line in opening] == names
    for number, line in enumerate(epochs, start=1):
        progress = rf"epoch {number}/2  loss \d\.\d{{4}}  lr [\d.e-]+  \d+ images/s  \|  validation: {SCORE}"
        assert re.fullmatch(progress, line)
    assert len(epochs) == 2
    assert re.fullmatch(r"2 epochs in \d+ s", length)
    assert re.fullmatch(rf"best epoch [12]: {SCORE}", best)
    assert where == f"curve: {Path('ckpt/curve.png')}   table: {Path('ckpt/history.csv')}"
    assert then == "next: python infer.py IMAGE --ckpt_path ckpt/mnasnet_075_best.ckpt"


def test_training_leaves_checkpoints_table_curve_and_report_and_nothing_else(trained: TrainingRun):
    assert files_below(trained.cwd) == {
        f"ckpt/{name}"
        for name in (
            "mnasnet_075-1.ckpt",
            "mnasnet_075-2.ckpt",
            "mnasnet_075_best.ckpt",
            "history.csv",
            "curve.png",
            "config.yaml",
            "metrics.jsonl",
            "report.html",
        )
    }
    assert [row["epoch"] for row in history(trained.folder)] == ["1", "2"]
    assert [row["step"] for row in history(trained.folder)] == ["9", "18"]


def test_the_options_of_the_run_load_as_they_are(trained: TrainingRun):
    options = load_config(["-c", str(trained.folder / "config.yaml")]).options()
    assert (options["model"], options["ckpt_save_dir"], options["epoch_size"]) == ("mnasnet_075", "./ckpt", 2)
    events = [json.loads(line) for line in (trained.folder / "metrics.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["event"] == "epoch"] == [9, 18]


def test_the_report_of_a_run_is_about_its_best_epoch(trained: TrainingRun):
    page = (trained.folder / "report.html").read_text(encoding="utf-8")
    best = max(history(trained.folder), key=lambda row: float(row["top1"]))
    assert f"<dt>Top-1</dt><dd>{float(best['top1']):.2%}</dd>" in page
    assert f"the network after epoch {best['epoch']} of 2, the best (mnasnet_075_best.ckpt)" in page
    assert page.count('src="data:image/jpeg;base64,') == round(24 * (1 - float(best["top1"])))


def test_the_training_loss_falls(trained: TrainingRun):
    first, last = (float(row["train_loss"]) for row in history(trained.folder))
    assert last < first


def test_validate_scores_the_last_checkpoint_as_training_did(
    trained: TrainingRun, photos: Path, tmp_path: Path
):
    given = (f"--data_dir={photos}", f"--ckpt_path={trained.checkpoint}", "--device_target=CPU")
    process = validate(*given, "--report", tmp_path / "val.html", cwd=trained.cwd)
    assert (process.status, process.errors) == (0, [])
    score, told = process.output.splitlines()
    assert told == f"report: {tmp_path / 'val.html'}"
    top1, top5, loss = re.fullmatch(SCORE, score).groups()
    page = (tmp_path / "val.html").read_text(encoding="utf-8")
    assert f"<dt>Top-1</dt><dd>{float(top1):.2%}</dd>" in page
    assert f"<dt>Top-5</dt><dd>{float(top5):.2%}</dd>" in page  # of 1000 outputs
    assert str(trained.checkpoint) in page
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


@pytest.mark.skipif(accelerator_present(), reason="this machine has an accelerator")
def test_a_device_that_is_not_there_is_refused(photos: Path, tmp_path: Path):
    process = train("--data_dir", photos, *SMALL_RUN, "--device_target", "GPU", cwd=tmp_path)
    assert refusal(process).startswith("error: device_target=GPU cannot be used")


def test_validate_refuses_a_checkpoint_that_is_missing(photos: Path, tmp_path: Path):
    process = validate("--data_dir", photos, "--ckpt_path", "no.ckpt", cwd=tmp_path)
    assert refusal(process) == "error: no.ckpt: no such checkpoint: check the path"
