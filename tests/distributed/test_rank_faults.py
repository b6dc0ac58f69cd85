"""A fault in one rank only: all processes end soon, with one message that names the rank and the cause."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed.jobs import LAUNCH, SCRIPTS, Finished, Job
from distributed.recipes import ENDING_SECONDS, SMALLEST
from PIL import Image

MESSAGE = re.compile(r"(?:rank \d+: )?(?:error: .*|stopped by .*|Traceback \(most recent call last\):)")
LOST = "ended without a message: was it killed, is there enough memory?"
SAME_OPTIONS = "start all ranks with the same options"
WATCH = "rank_watch.py"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three classes, 12 images to train with and 3 to validate with."""
    root = tmp_path_factory.mktemp("few images")
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 1)):
        for label in range(3):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


@pytest.fixture
def job(images: Path, tmp_path: Path) -> Callable[..., Job]:
    """Starts two ranks, of which one meets a fault."""

    def start(launcher: str, fault: str, mode: int = 1, **options: object) -> Job:
        given = {"data_dir": images, "model": "tiny", "mode": mode, **options}
        lines = dict(line.split(": ", 1) for line in SMALLEST.strip().splitlines()) | given
        text = "".join(f"{key}: {value}\n" for key, value in lines.items())
        (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
        return Job(LAUNCH[launcher](2, SCRIPTS / "faulty.py", "-c", "recipe.yaml"), tmp_path, FAULT=fault)

    return start


def said_at_the_end(job: Job, launcher: str, seconds: float = ENDING_SECONDS) -> tuple[list[str], Finished]:
    """Return the messages of the ranks, once everything has ended, and how that was."""
    with job:
        finished = job.finish()
        job.until(lambda: not (job.processes() or watches(job)), "end of all processes", seconds=5)
    end = time.time()
    struck = job.folder / "struck"
    began = float(struck.read_text(encoding="utf-8")) if struck.exists() else job.began
    assert end - began < seconds, finished
    assert finished.status != 0, finished
    # msrun shows its own traceback on standard error, and what the ranks say on standard output.
    said = finished.out if launcher == "msrun" else finished.out + finished.err
    return [line for line in said.splitlines() if MESSAGE.fullmatch(line)], finished


def watches(job: Job) -> list[int]:
    """The watches that are left of the job: processes without its mark, in its folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() == job.folder and WATCH in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_rank_that_leaves_before_it_meets_the_others_does_not_let_them_wait(job):
    said, finished = said_at_the_end(job("mpirun", "1:start:_exit 0"), "mpirun")
    known = "ended with status 0 and without a message before the run was over"
    assert said in ([f"rank 1: error: {LOST}"], [f"rank 1: error: {known}"]), finished


def test_a_rank_with_other_options_of_its_own_is_named(job):
    said, finished = said_at_the_end(job("mpirun", "1:options:--lr 0.5"), "mpirun")
    assert said == [f"error: rank 1: lr=0.5; rank 0: lr=0.01: {SAME_OPTIONS}"], finished


# --- every fault, under both launchers ---------------------------------------------------------------------

thorough = [pytest.mark.slow, pytest.mark.hostile]
launchers = pytest.mark.parametrize(
    ("launcher", "mode"),
    [pytest.param("mpirun", 0, marks=thorough), pytest.param("msrun", 1, marks=thorough)],
)
everywhere = pytest.mark.parametrize(
    ("launcher", "mode"),
    [pytest.param(launcher, mode, marks=thorough) for launcher in LAUNCH for mode in (0, 1)],
)


@everywhere
@pytest.mark.parametrize("place", ["step", "callback"])
def test_an_exception_in_one_rank_is_its_traceback(job, launcher, mode, place):
    said, finished = said_at_the_end(job(launcher, f"1:{place}:exception", mode), launcher)
    assert said[0] == "rank 1: Traceback (most recent call last):", finished
    assert [line for line in said if line.startswith("rank")] == said[:1], finished
    last = "RuntimeError: the fault of this test\n"
    if place == "callback":
        last = f"CallbackError: callback __main__.train.<locals>.Faulty failed in on_train_step_end: {last}"
    assert last in finished.out + finished.err, finished


@launchers
@pytest.mark.parametrize("place", ["inputs", "step"])
def test_an_error_of_the_system_in_one_rank_is_a_line(job, launcher, mode, place):
    said, finished = said_at_the_end(job(launcher, f"1:{place}:permissions", mode), launcher)
    assert len(said) == 1, finished
    assert re.fullmatch(r"rank 1: error: .*a/file: Permission denied: check its permissions", said[0]), (
        finished
    )


@launchers
@pytest.mark.parametrize("place", ["start", "inputs", "step"])
def test_a_lack_of_memory_in_one_rank_is_its_traceback(job, launcher, mode, place):
    said, finished = said_at_the_end(job(launcher, f"1:{place}:memory", mode), launcher)
    assert said == ["rank 1: Traceback (most recent call last):"], finished
    assert "\nMemoryError\n" in finished.out + finished.err, finished


@launchers
@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("1:step:exit 3", "rank 1: error: SystemExit(3) before the run was over"),
        ("1:step:exit 0", "rank 1: error: SystemExit(0) before the run was over"),
        ("0:step:exit 0", "error: SystemExit(0) before the run was over"),
        ("1:callback:exit 3", "rank 1: error: SystemExit(3) before the run was over"),
        ("1:inputs:exit 3", "rank 1: error: SystemExit(3) before the run was over"),
        ("1:step:interrupt", "rank 1: stopped by Ctrl-C or kill"),
    ],
)
def test_a_rank_that_asks_to_exit_says_so(job, launcher, mode, fault, text):
    said, finished = said_at_the_end(job(launcher, fault, mode), launcher)
    assert said == [text], finished


@launchers
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("_exit 3", "ended with status 3 and without a message before the run was over"),
        ("_exit 0", "ended with status 0 and without a message before the run was over"),
        ("SIGKILL", "killed by SIGKILL: is there enough memory?"),
        ("SIGSEGV", "killed by SIGSEGV: native code has crashed"),
        ("SIGSTOP", "stopped by a signal for 10 s, and the others wait: it is killed"),
    ],
)
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_vanishes_or_stands_still_is_named(job, launcher, mode, kind, text, rank):
    said, finished = said_at_the_end(job(launcher, f"{rank}:step:{kind}", mode), launcher)
    # Open MPI asks for the status first, and says itself by which signal a rank has ended.
    assert said in ([f"rank {rank}: error: {text}"], [f"rank {rank}: error: {LOST}"]), finished
    assert (launcher, LOST in said[0]) != ("msrun", True)


@everywhere
def test_a_rank_that_hangs_is_not_waited_for_by_the_others_for_ever(job, launcher, mode):
    said, finished = said_at_the_end(job(launcher, "1:callback:hang", mode), launcher, 30 + ENDING_SECONDS)
    assert len(said) == 1, finished
    pattern = r"error: another rank does not come to (AllGather|AllReduce): it hangs, or is more than 30 s .*"
    assert re.fullmatch(pattern, said[0]), finished


@launchers
@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            "--distribute False",
            "{} started 2 processes, but distribute=False: set distribute to True, or start one process",
        ),
        ("--lerning_rate 1", "command line: unknown option 'lerning_rate'; did you mean 'lr'?"),
        ("-c nowhere.yaml", "nowhere.yaml: no such file: check the path after -c"),
        ("--resume nowhere.ckpt", "nowhere.ckpt: no such checkpoint: check the path"),
        (
            "--data_dir nowhere",
            "nowhere is not a folder of images: data_dir should hold one folder per class, "
            "as in nowhere/train/CLASS/IMAGE.jpg",
        ),
    ],
)
def test_a_rank_that_cannot_begin_says_why(job, launcher, mode, options, text):
    said, finished = said_at_the_end(job(launcher, f"1:options:{options}", mode), launcher)
    assert said == [f"rank 1: error: {text.format(launcher)}"], finished


@launchers
def test_a_bad_image_of_one_rank_is_named(job, images, tmp_path, launcher, mode):
    folder = tmp_path / "images"
    os.system(f"cp -r '{images}' '{folder}'")
    bad = folder / "train/class1/2.png"
    bad.write_bytes(bad.read_bytes()[:60])
    said, finished = said_at_the_end(job(launcher, "1:nowhere:", mode, data_dir=folder), launcher)
    assert len(said) == 1, finished
    assert re.fullmatch(rf"(rank 1: )?error: {re.escape(str(bad))} .*: remove or replace it, .*", said[0])


@launchers
def test_a_weight_of_one_rank_that_is_not_a_number_is_named(job, launcher, mode):
    said, finished = said_at_the_end(job(launcher, "1:weights:nan", mode, log_interval=1), launcher)
    assert len(said) == 1, finished
    assert "not finite" in said[0], finished


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that is too small for a checkpoint."""
    folder = tmp_path / "ckpt"
    folder.mkdir()
    if os.system(f"mount -t tmpfs -o size=16k none {folder} 2>/dev/null") != 0:
        pytest.skip("a file system of a small size needs the right to mount one")
    yield folder
    os.system(f"umount {folder}")


@launchers
def test_a_full_disk_of_rank_0_is_named(job, small_disk, launcher, mode):
    said, finished = said_at_the_end(job(launcher, "1:nowhere:", mode), launcher)
    assert len(said) == 1, finished
    assert said[0].startswith("error: "), finished
    assert "No space left on device" in said[0], finished
