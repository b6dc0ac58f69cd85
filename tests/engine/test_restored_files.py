"""A resumed run decides by the files in its folder, which others may have written, what it keeps."""

import json
import logging
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from mindspore import Parameter, Tensor

from mindcv.engine import CheckpointManager, RunPosition
from mindcv.engine.resume import find_state, read_state
from mindcv.engine.run_files import describe
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import read_checkpoint, write_checkpoint
from mindcv.files.checkpoint_metadata import read_metadata


@pytest.fixture
def weight() -> Parameter:
    return Parameter(Tensor([0.0]), name="w")


def train(manager: CheckpointManager, scores: list[float | None], first: int = 1, value: float = 0) -> None:
    """Finish an epoch for each score; the weight is the epoch and the value."""
    for epoch, score in enumerate(scores, first):
        manager.tensors["w"].set_data(Tensor([epoch + value]))
        manager.after_epoch(RunPosition(epoch=epoch), epoch, score=score, last=False)


def manager_of(folder: Path, weight: Parameter, **options) -> CheckpointManager:
    return CheckpointManager(folder, "net", {"w": weight}, {}, **options)


def resumed(folder: Path, weight: Parameter, name: str = "", **options) -> CheckpointManager:
    """A manager that has adopted the files of its folder, from a named one or from the newest."""
    path = folder / name if name else find_state(folder, "net")[0]
    manager = manager_of(folder, weight, **options)
    manager.restore(read_state(path).metadata, path)
    return manager


def files(folder: Path) -> dict[str, float]:
    """The weight of each file."""
    return {path.name: read_checkpoint(path).tensors["w"].item() for path in sorted(folder.glob("*.ckpt"))}


def test_a_best_file_that_was_not_written_any_more_is_restored(tmp_path, weight, caplog):
    train(manager_of(tmp_path, weight), [0.1, 0.5, 0.3, 0.6])
    best = tmp_path / "net_best.ckpt"
    shutil.copy(tmp_path / "net-2.ckpt", best)  # as if the run was killed before it wrote the fourth epoch
    logging.getLogger("mindcv").handlers = []
    with caplog.at_level(logging.INFO):
        manager = resumed(tmp_path, weight)
    assert caplog.messages == [f"{best} is restored from net-4.ckpt"]
    assert (manager.best_score, files(tmp_path)["net_best.ckpt"]) == (0.6, 4)
    assert best.read_bytes() == (tmp_path / "net-4.ckpt").read_bytes()
    train(manager, [0.55], first=5)
    assert files(tmp_path)["net_best.ckpt"] == 4
    best.unlink()
    resumed(tmp_path, weight)
    assert files(tmp_path)["net_best.ckpt"] == 4


def test_a_damaged_file_does_not_become_the_best(tmp_path, weight, caplog):
    train(manager_of(tmp_path, weight), [0.1, 0.6, 0.5])
    (tmp_path / "net_best.ckpt").unlink()
    content = bytearray((tmp_path / "net-2.ckpt").read_bytes())
    content[content.index(np.float32(2).tobytes())] ^= 1
    (tmp_path / "net-2.ckpt").write_bytes(content)
    manager = resumed(tmp_path, weight)
    assert manager.best_score == 0.5
    assert read_checkpoint(tmp_path / "net_best.ckpt").metadata["epoch"] == 3
    assert "net-2.ckpt: the checkpoint is truncated or damaged" in caplog.text


@pytest.mark.parametrize(
    ("policy", "kept"), [("latest_k", ["net-3.ckpt", "net-4.ckpt"]), ("top_k", ["net-1.ckpt", "net-3.ckpt"])]
)
def test_what_a_killed_run_had_not_yet_removed_is_removed(tmp_path, weight, policy, kept):
    train(manager_of(tmp_path, weight), [0.9, 0.2, 0.3, None])
    manager = manager_of(tmp_path, weight)
    manager.run_id = read_checkpoint(tmp_path / "net-1.ckpt").metadata["run"]
    manager.save(RunPosition(epoch=3, batch=1), 3)
    resumed(tmp_path, weight, policy=policy, keep=2)
    assert sorted(files(tmp_path)) == [*kept, "net_best.ckpt"]


def test_with_keep_0_nothing_is_removed_but_the_state_before_the_best(tmp_path, weight):
    train(manager_of(tmp_path, weight), [0.9, 0.2])
    resumed(tmp_path, weight, keep=0)
    assert sorted(files(tmp_path)) == ["net-1.ckpt", "net-2.ckpt", "net_best.ckpt"]
    other = tmp_path / "other"
    other.mkdir()
    manager = manager_of(other, weight, keep=0)
    manager.save(RunPosition(batch=1), 1)
    train(manager, [0.5])
    assert list(files(other)) == ["net_best.ckpt"]
    manager.save(RunPosition(epoch=1, batch=1), 2)
    train(manager, [0.4], first=2)
    assert list(files(other)) == ["net_best.ckpt", "net_latest.ckpt"]


def test_the_files_of_another_run_are_neither_counted_nor_removed(tmp_path, weight):
    train(manager_of(tmp_path, weight), [0.9, 0.8])
    for name in ("net-1.ckpt", "net_best.ckpt"):
        (tmp_path / name).rename(tmp_path / name.replace("net", "kept"))
    train(manager_of(tmp_path, weight), [0.1], first=3)
    (tmp_path / "kept-1.ckpt").rename(tmp_path / "net-1.ckpt")
    manager = resumed(tmp_path, weight, keep=1)
    assert sorted(files(tmp_path)) == [
        "kept_best.ckpt",
        "net-1.ckpt",
        "net-2.ckpt",
        "net-3.ckpt",
        "net_best.ckpt",
    ]
    assert (manager.best_score, files(tmp_path)["net_best.ckpt"]) == (0.1, 3)


def test_a_run_that_goes_back_counts_as_newer_than_what_it_left(tmp_path, weight):
    train(manager_of(tmp_path, weight), [0.1, 0.3, 0.2, 0.2, 0.9])
    (tmp_path / "net-5.ckpt").unlink()
    manager = resumed(tmp_path, weight, "net-3.ckpt")
    assert manager.best_score == 0.3
    left = {f"net-{epoch}.ckpt": epoch for epoch in (1, 2, 3, 4, 5)}  # the best of the epochs to come is kept
    assert files(tmp_path) == {**left, "net_best.ckpt": 2}
    train(manager, [0.25], first=4, value=0.5)
    path, found = find_state(tmp_path, "net")
    assert (path.name, found.tensors["w"].tolist(), found.metadata["branch"]) == ("net-4.ckpt", [4.5], 1)
    manager = resumed(tmp_path, weight)
    train(manager, [0.4], first=5, value=0.5)
    assert files(tmp_path)["net_best.ckpt"] == 5.5
    assert resumed(tmp_path, weight).branch == 1


def test_no_path_in_a_file_is_followed(tmp_path, weight):
    """An earlier version removed what a checkpoint named, wherever it was."""
    victims = [tmp_path / name for name in ("victim", "folder/victim", "folder/net-9.ckpt")]
    folder = tmp_path / "folder"
    folder.mkdir()
    for victim in victims:
        victim.write_text("precious")
    train(manager_of(folder, weight), [0.5])
    metadata = read_checkpoint(folder / "net-1.ckpt").metadata
    named = [str(victims[0]), "../victim", "victim", "net-9.ckpt", str(victims[2])]
    crafted = {**metadata, "kept": [[name, 0.0] for name in named], "best_top1": 7.0}
    write_checkpoint(folder / "net-1.ckpt", {"w": weight}, crafted)
    manager = resumed(folder, weight, keep=1)
    train(manager, [0.6, 0.7], first=2)
    assert [victim.read_text() for victim in victims] == ["precious"] * 3
    assert manager.best_score == 0.7


GOOD = {"run": "a", "progress": RunPosition(epoch=1).metadata(), "top1": 0.5}


@pytest.mark.parametrize(
    "changed",
    [
        {"branch": "1"},
        {"branch": -1},
        {"progress": {"epoch": 1, "batch": 0}},
        {"progress": {**GOOD["progress"], "seconds": "1"}},
        {"progress": {**GOOD["progress"], "losses": ["x"]}},
        {"progress": {**GOOD["progress"], "results": [{}]}},
        {"progress": {**GOOD["progress"], "results": 3}},
        {"progress": {**GOOD["progress"], "more": 1}},
    ],
)
def test_a_state_of_wrong_types_is_refused(tmp_path, weight, changed):
    path = tmp_path / "net-1.ckpt"
    write_checkpoint(path, {"w": weight}, {**GOOD, **changed})
    with pytest.raises(UserError) as caught:
        read_state(path)
    assert str(caught.value) == f"{path}: its state of a training run is damaged: use another checkpoint"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"run": 7}, "a text"),
        ({"progress": []}, "the position of a run"),
        ({"progress": {**GOOD["progress"], "epoch": True}}, "the position of a run"),
        ({"progress": {**GOOD["progress"], "epoch": 1.5}}, "the position of a run"),
        ({"progress": {**GOOD["progress"], "batch": -1}}, "the position of a run"),
        ({"config": []}, "a mapping of options"),
        ({"bn_eps": "small"}, "a positive number"),
    ],
)
def test_a_state_with_a_known_key_of_another_type_is_refused_as_any_file_is(
    tmp_path, weight, changed, expected
):
    path = tmp_path / "net-1.ckpt"
    write_checkpoint(path, {"w": weight}, {**GOOD, **changed})
    with pytest.raises(UserError) as caught:
        read_state(path)
    (key,) = changed
    said = str(caught.value)
    assert said.startswith(f"{path}: says {key}=")
    assert said.endswith(f", which must be {expected}: use another file")


@pytest.mark.parametrize("top1", [None, math.nan, math.inf, 10**400, "high", [], True])
def test_a_score_that_is_not_a_number_ranks_last(top1):
    assert describe(Path("net-1.ckpt"), {**GOOD, "top1": top1}).score == -math.inf


@pytest.mark.parametrize("metadata", [{}, {"text": "Äpfel 苹果 🍎"}, {"many": list(range(100_000))}, GOOD])
def test_metadata_is_read_without_the_tensors(tmp_path, weight, metadata, monkeypatch):
    path = tmp_path / "net-1.ckpt"
    tensors = {"w": weight, "empty": Tensor(np.zeros((0, 2))), "big": Tensor(np.zeros((300, 300)))}
    write_checkpoint(path, tensors, metadata)
    expected = json.loads(json.dumps(metadata))
    monkeypatch.setattr("mindcv.files.checkpoint_metadata.read_checkpoint", None)
    assert read_metadata(path) == expected


def test_a_file_cut_anywhere_has_its_metadata_or_is_refused(tmp_path, weight):
    path, cut = tmp_path / "net-1.ckpt", tmp_path / "cut.ckpt"
    write_checkpoint(path, {"w": weight}, {"epoch": 1})
    content = path.read_bytes()
    for length in range(0, len(content), 3):
        cut.write_bytes(content[:length])
        try:
            metadata = read_metadata(cut)
        except UserError:
            continue
        assert metadata in ({"epoch": 1}, {})
