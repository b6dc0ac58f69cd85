"""Several processes on one host: what they compute, what they say, and how they end.

Each test looks at a job that a launcher really started. A job takes 10 s to begin, most of which it waits, so
the quick ones are begun together.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from distributed.jobs import LAUNCH, SCRIPTS, Finished, Job, at_once, kill, mpirun, python, run
from distributed.recipes import (
    CLASSES,
    ENDING_SECONDS,
    GREETING,
    MODEL,
    RECIPE,
    SCORE,
    TRAIN,
    TRAINING,
    VAL_IMAGES,
    VALIDATE,
)

from mindcv.files.checkpoint_file import read_checkpoint

# --- train.py ----------------------------------------------------------------------------------------------

EPOCH = re.compile(
    r"epoch (\d+)/\d+  loss \d+\.\d{4}  lr 0\.02  \d+ images/s  \|  validation: top-1 (\d\.\d{4})  .*\n"
)


@pytest.fixture(scope="module")
def jobs(write: Callable[..., Path]) -> Iterator[dict[str, Job]]:
    """Two jobs of two ranks, together.py and training.py."""
    together = mpirun(2, SCRIPTS / "together.py", "-c", "recipe.yaml"), write(RECIPE, image_resize=16)
    train = mpirun(2, SCRIPTS / "training.py", "-c", "recipe.yaml"), write(TRAINING, epoch_size=9999)
    with at_once(together=together, train=train) as jobs:
        yield jobs


@pytest.fixture(scope="module")
def training(jobs: dict[str, Job]) -> Iterator[Job]:
    """Two ranks that have trained for two epochs and go on."""
    job = jobs["train"]

    def epochs() -> int:
        return len(EPOCH.findall((job.folder / "stdout").read_text(encoding="utf-8")))

    job.until(lambda: epochs() >= 2 or job.launcher.poll() is not None, "second epoch")
    assert epochs() >= 2, job.finish()
    return job


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("epoch", [1, 2])
def test_all_ranks_validate_the_same_weights_and_averaged_statistics(training, epoch):
    first, second = (arrays(training.folder / f"weights{rank}-{epoch}.npz") for rank in (0, 1))
    names = [name for name in first if not name.startswith("before.")]
    assert len(names) > 100
    for name in names:
        before = [rank[f"before.{name}"] for rank in (first, second)]
        assert np.array_equal(*before) == ("moving" not in name)
        np.testing.assert_array_equal(first[name], second[name])
        np.testing.assert_array_equal(first[name], (before[0] + before[1]) / 2)


def test_the_checkpoint_holds_the_weights_that_were_validated(training):
    saved = read_checkpoint(training.folder / "rank0" / f"{MODEL}-2.ckpt").tensors
    for name, value in arrays(training.folder / "weights1-2.npz").items():
        if not name.startswith("before."):
            np.testing.assert_array_equal(saved[name], value)


def test_one_rank_writes_and_says_what_happens(training):
    assert not (training.folder / "rank1").exists()
    said, err = ((training.folder / name).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
    epochs = [int(epoch) for epoch, _ in EPOCH.findall(said)]
    assert epochs[:2] == [1, 2]
    assert epochs == sorted(set(epochs))
    assert err == GREETING
    with (training.folder / "rank0" / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["step"], row["lr"]) for row in rows[:2]] == [
        ("1", "2", "0.02"),
        ("2", "4", "0.02"),
    ]


def test_when_a_rank_is_killed_all_processes_end_soon(training):
    assert len(training.processes()) >= 4  # the launcher, two ranks, the scheduler
    assert_killing_ends(training)


def assert_killing_ends(job: Job) -> None:
    kill(job.rank(1))
    job.until(lambda: not job.processes(), "end of all processes", seconds=ENDING_SECONDS)
    assert job.finish().status != 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
@pytest.mark.parametrize("launcher", LAUNCH)
def test_when_a_rank_is_killed_all_processes_end_soon_whoever_started_them(write, launcher, mode):
    folder = write(TRAINING, epoch_size=9999, mode=mode)
    with Job(LAUNCH[launcher](2, TRAIN, "-c", "recipe.yaml"), folder) as job:
        history = folder / "ckpt" / "history.csv"
        job.until(lambda: history.exists() or job.launcher.poll() is not None, "first epoch")
        assert history.exists(), job.finish()
        assert_killing_ends(job)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
@pytest.mark.parametrize("launcher", LAUNCH)
def test_training_ends_with_one_summary_and_its_score_is_what_validate_prints(write, launcher, mode):
    folder = write(TRAINING, mode=mode, keep_checkpoint_max=1)
    finished = run(LAUNCH[launcher](2, TRAIN, "-c", "recipe.yaml"), folder)
    assert finished.status == 0, finished
    assert [epoch for epoch, _ in EPOCH.findall(finished.out)] == ["1", "2"]
    assert len(re.findall("2 epochs in", finished.out)) == 1
    assert (finished.out + finished.err).count(GREETING) == 1
    files = sorted(path.name for path in (folder / "ckpt").iterdir())
    assert files == ["curve.png", "history.csv", f"{MODEL}-2.ckpt", f"{MODEL}_best.ckpt"]
    best = f"ckpt/{MODEL}-2.ckpt"
    again = run(python(VALIDATE, "-c", "recipe.yaml", "--ckpt_path", best), folder)
    assert SCORE.findall(again.out) == SCORE.findall(finished.out)[1:2]


# --- what ranks compute together ---------------------------------------------------------------------------


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("mpirun", 2), id="2 ranks"),
        pytest.param(("msrun", 3), id="3 ranks", marks=pytest.mark.slow),
    ],
)
def together(request: pytest.FixtureRequest, write: Callable[..., Path]) -> Iterator[tuple[Job, Finished]]:
    """A job of together.py that has ended."""
    launcher, ranks = request.param
    with ExitStack() as stack:
        if ranks == 2:
            job = request.getfixturevalue("jobs")["together"]
        else:
            command = LAUNCH[launcher](ranks, SCRIPTS / "together.py", "-c", "recipe.yaml")
            job = stack.enter_context(Job(command, write(RECIPE, image_resize=16)))
        finished = job.finish()
        assert (job.folder / "found.json").is_file(), finished
        yield job, finished


@pytest.fixture
def found(together: tuple[Job, Finished]) -> dict[str, Any]:
    """Return the results of together.py."""
    return json.loads((together[0].folder / "found.json").read_text(encoding="utf-8"))


modes = pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])


@modes
@pytest.mark.parametrize("network", ["plain", "normalised"])
def test_a_step_of_n_ranks_is_the_step_of_one_with_n_times_the_batch(found, network, mode):
    step = found[f"{network} {mode}"]
    assert step["loss"] == pytest.approx(step["loss alone"], abs=1e-5)
    assert len(step["differences"]) == {"plain": 3, "normalised": 41}[network]
    assert max(step["differences"].values()) < 1e-5
    # That says something: the step is long, without the others it is another, and so are the statistics.
    without = found[f"{network} {ms.PYNATIVE_MODE}"]["differences without the others"]
    for differences in (step["steps"], without):
        assert max(differences.values()) > 1e-2
        assert all(value > 1e-4 for name, value in differences.items() if "moving_variance" in name)


@modes
@pytest.mark.parametrize("network", ["plain", "normalised"])
def test_after_a_step_all_ranks_have_the_same_values_to_the_bit(found, network, mode):
    assert found[f"{network} {mode}"]["ranks differ by"] == 0


@modes
def test_all_ranks_get_rank_0s_values_or_the_mean(found, mode):
    ranks = np.arange(found["size"])
    exchanges = found[f"exchanges {mode}"]
    mean = [[(1.5 + ranks).mean(), (-2.0 * ranks).mean()], (4.0**ranks).mean()]
    assert exchanges["mean"] == mean
    assert exchanges["broadcast"] == [[[1.0]], [5]]
    total = len(ranks)
    assert exchanges["everywhere"] == pytest.approx([total * v for v in [*mean[0], mean[1], 1.0, 5.0]])


@modes
def test_gradients_in_buckets_of_any_size_have_the_mean_of_single_messages(found, mode):
    differences = found[f"buckets {mode}"]
    assert set(differences) == {"1", "300", str(2**30)}
    # More than two ranks add in an order that depends on the place in the message.
    assert max(differences.values()) <= (0 if found["size"] == 2 else 1e-5)


@modes
def test_sums_over_ranks_are_those_of_float64(found, mode):
    ranks = range(found["size"])
    expected = [
        sum(2**24 + 1 + r for r in ranks),  # float32 has no odd numbers there
        sum(2**40 + 1 + r for r in ranks),
        sum(0.1 * (r + 1) for r in ranks),
        -sum(ranks),
    ]
    assert found[f"exchanges {mode}"]["sum"] == expected


@modes
def test_every_image_is_scored_once_and_the_score_is_that_of_one_rank(found, mode):
    scores = found[f"scores {mode}"]
    together, alone = scores["together"], scores["alone"]
    for name in ("images", "top1", "top5"):
        assert together[name] == alone[name]
    assert together["images"] == VAL_IMAGES
    assert 0 < together["top5"] < VAL_IMAGES
    assert together["loss_sum"] / VAL_IMAGES == pytest.approx(alone["loss_sum"] / VAL_IMAGES, abs=1e-6)
    shards = np.array(scores["classes"])
    assert shards.sum(axis=0).tolist() == list(CLASSES["val"])
    assert shards.min() == 0  # one of them lacks a class
    assert np.ptp(shards.sum(axis=1)) == 1


def test_rank_0_is_rank_0_and_counts_all(found, together):
    assert found["rank of rank 0"] == 0
    assert "never reached" not in together[1].out


def test_a_mistake_of_one_rank_ends_all_and_comes_before_the_launchers_message(found, together):
    job, finished = together
    message = f"rank {found['size'] - 1}: error: a mistake that the others did not make\n"
    assert finished.status != 0
    if found["size"] == 2:
        assert finished.err.startswith(message), finished
    else:
        assert message in finished.out + finished.err, finished
    last_word = max((job.folder / name).stat().st_mtime for name in ("stdout", "stderr"))
    assert last_word - found["end"] < ENDING_SECONDS
    job.until(lambda: not job.processes(), "end of all processes", seconds=ENDING_SECONDS)
