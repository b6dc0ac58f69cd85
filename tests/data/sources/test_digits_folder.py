"""The digits: scikit-learn's, written once as an image folder."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from mindcv.data import create_source
from mindcv.data.sources.digits import write_digits
from mindcv.errors import UserError

FILES = 1797


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "digits"
    write_digits(root)
    return root


def files(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_digits_split_into_1437_and_360_alike_in_every_class(digits):
    train, val = (create_source("digits", digits, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (1437, 360)
    assert train.classes == val.classes == [str(digit) for digit in range(10)]
    held_out = np.bincount(val.labels) / np.bincount(np.concatenate([train.labels, val.labels]))
    assert np.all(np.abs(held_out - 0.2) < 0.005)


def test_digits_are_scikit_learns_grey_values(digits):
    pixels, labels = load_digits(return_X_y=True)
    paths = sorted(digits.glob("*/*/*.png"), key=lambda path: int(path.stem))
    assert [int(path.stem) for path in paths] == list(range(FILES))
    for path, values, label in zip(paths, pixels, labels, strict=True):
        with Image.open(path) as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), np.rint(values.reshape(8, 8) * 255 / 16))
        assert path.parent.name == str(label)


def test_digits_are_written_once(digits):
    before = files(digits)
    create_source("digits", digits, "train")
    assert files(digits) == before
    assert len(before) == FILES


def test_processes_that_write_together_leave_one_whole_set(digits, tmp_path):
    root = tmp_path / "new" / "digits"
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write_digits, [root] * 3))
    assert sorted(path.name for path in root.iterdir()) == ["train", "val"]
    assert {path.relative_to(root) for path in files(root)} == {
        path.relative_to(digits) for path in files(digits)
    }


def test_a_killed_writer_leaves_nothing_that_a_later_one_takes_for_whole(digits, tmp_path):
    (tmp_path / ".digits-killed" / "train" / "0").mkdir(parents=True)
    write_digits(tmp_path)
    (tmp_path / "val").rename(tmp_path / "gone")
    train = files(tmp_path / "train")
    write_digits(tmp_path)
    assert files(tmp_path / "train") == train
    assert len(files(tmp_path / "val")) == 360


def test_a_folder_that_cannot_be_made_is_an_error_and_not_taken_for_another_processs(tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "train").write_text("in the way")
    with pytest.raises(UserError, match=r"train cannot be written \(Not a directory\)"):
        write_digits(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train", "val"]


def test_digits_need_a_folder():
    with pytest.raises(UserError, match="data_dir is not set: give the folder of dataset=digits"):
        create_source("digits")
