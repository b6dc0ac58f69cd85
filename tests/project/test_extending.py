"""The walks of docs/extending.md: each is applied to a copy of the project, which then trains with it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "extending.md"
RECIPE = "configs/mnasnet/mnasnet0.75_digits_cpu.yaml"
NUMBERS = {"one file": 1, "two files": 2, "three files": 3}
SMALL_RUN = {
    "--model": "mnasnet_small",
    "--mode": "1",
    "--epoch_size": "1",
    "--warmup_epochs": "1",
    "--num_samples": "32",
    "--batch_size": "16",
    "--image_resize": "32",
    "--val_while_train": "false",
}


@dataclass(frozen=True)
class Walk:
    """A section of the document: its heading says how many files its diffs change."""

    name: str
    files: int
    diff: str
    command: tuple[str, ...]

    @property
    def paths(self) -> set[str]:
        return set(re.findall(r"^\+\+\+ b/(.+)$", self.diff, re.MULTILINE))


def read_walks() -> list[Walk]:
    walks = []
    text = GUIDE.read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading = re.match(r"(.+): (\w+ files?)\n", section)
        if heading is None:
            continue
        (command,) = re.findall(r"```shell\n(.*?)\n```", section, re.DOTALL)
        diffs = re.findall(r"```diff\n(.*?)```", section, re.DOTALL)
        walks.append(Walk(heading[1], NUMBERS[heading[2]], "".join(diffs), tuple(shlex.split(command))))
    return walks


WALKS = read_walks()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "digits"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's files."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            target = tmp_path / "project" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target, follow_symlinks=False)
    return tmp_path / "project"


def run(*command: str | Path, cwd: Path, text: str | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=cwd, input=text, capture_output=True, text=True, timeout=300)


def train(walk: Walk, project: Path, digits: Path) -> subprocess.CompletedProcess:
    """Run the walk's command for two updates on the digits."""
    program, *arguments = walk.command
    assert program == "python"
    small = [word for option in SMALL_RUN.items() if option[0] not in arguments for word in option]
    return run(sys.executable, *arguments, *small, "--data_dir", digits, cwd=project)


def code_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}


def test_the_guide_walks_through_all_that_can_be_added():
    assert [(walk.name, walk.files) for walk in WALKS] == [
        ("A YAML key for an existing factory", 2),
        ("An optimizer", 2),
        ("An augmentation", 3),
        ("A model family", 2),
    ]


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.name)
def test_a_walk_changes_the_files_that_it_names_and_trains(walk: Walk, project: Path, digits: Path):
    refused = train(walk, project, digits)
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.splitlines()[-1].startswith("error: ")

    before = code_files(project)
    applied = run("git", "apply", "--verbose", "-", cwd=project, text=walk.diff)
    assert applied.returncode == 0, applied.stderr
    after = code_files(project)
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == walk.paths
    assert len(changed) == walk.files
    checked = run(sys.executable, "-m", "ruff", "check", *sorted(changed), cwd=project)
    assert checked.returncode == 0, checked.stdout

    trained = train(walk, project, digits)
    assert trained.returncode == 0, trained.stderr
    assert re.search(r"^epoch 1/1  loss \d+\.\d{4}", trained.stdout, re.MULTILINE)


def test_the_callback_of_the_guide_writes_a_line_per_interval_and_epoch(tmp_path: Path, digits: Path):
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    small = {**SMALL_RUN, "--val_while_train": "true", "-c": str(ROOT / RECIPE), "--data_dir": str(digits)}
    small = {**small, "--log_interval": "1"}
    words = [word for option in small.items() for word in option]
    code, count = re.subn(r"^options = .*$", f"options = {words!r}", code, flags=re.MULTILINE)
    assert count == 1
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in (tmp_path / "tracker.jsonl").read_text().splitlines()]
    assert [(line["step"], *sorted(line)) for line in lines] == [
        (1, "loss", "lr", "step"),
        (2, "loss", "lr", "step"),
        (2, "step", "top1"),
    ]
