"""Seeds, loggers, file types and sums under MindCV's names."""

import logging
import random

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

import mindcv.utils as utils
from mindcv.utils import AllReduceSum, detect_file_type, set_logger, set_seed

FILE_TYPES = {  # recorded with MindCV 0.3.0
    "a.tar": (".tar", ".tar", None),
    "a.tar.gz": (".tar.gz", ".tar", ".gz"),
    "a.b.tar.gz": (".tar.gz", ".tar", ".gz"),
    "a.tar.bz2": (".tar.bz2", ".tar", ".bz2"),
    "a.tgz": (".tgz", ".tar", ".gz"),
    "x.tbz": (".tbz", ".tar", ".bz2"),
    "x.tbz2": (".tbz2", ".tar", ".bz2"),
    "a.zip": (".zip", ".zip", None),
    "a.tar.zip": (".zip", ".zip", None),
    "dir.x/a.zip": (".zip", ".zip", None),
    "a.gz": (".gz", None, ".gz"),
    "a.ckpt.gz": (".gz", None, ".gz"),
    "a.bz2": (".bz2", None, ".bz2"),
    "a.xz": None,
    "a.txt": None,
    "a.TAR": None,
}


@pytest.mark.parametrize("name", FILE_TYPES)
def test_a_file_name_tells_what_it_tells_mindcv(name):
    assert detect_file_type(name) == FILE_TYPES[name]


def test_a_name_without_a_suffix_is_a_runtime_error():
    with pytest.raises(RuntimeError, match="without a suffix"):
        detect_file_type("a")


@pytest.mark.parametrize(
    ("arguments", "seed", "python", "numpy"),
    [
        ((), 42, 0.6394267984578837, 0.3745401188473625),
        ((3,), 3, 0.23796462709189137, 0.5507979025745755),
        ((3, 2), 5, 0.6229016948897019, 0.22199317108973948),
    ],
)
def test_one_seed_serves_mindspore_numpy_and_python(arguments, seed, python, numpy):
    set_seed(*arguments)
    assert (ms.get_seed(), random.random(), np.random.rand()) == (seed, python, numpy)


@pytest.fixture
def forget():
    """Remove the handlers of loggers that a test has set."""
    names = []
    yield names.append
    for name in names:
        logger = logging.getLogger(name)
        for handler in logger.handlers[:]:
            handler.close()
            logger.removeHandler(handler)


def test_rank_0_writes_to_the_screen_and_to_its_file(tmp_path, capsys, forget):
    forget("first")
    logger = set_logger("first", str(tmp_path / "log"), color=False)
    logger.info("hello")
    logger.debug("unseen")
    written = (tmp_path / "log" / "rank0.log").read_text()
    assert capsys.readouterr().out == written
    assert written.endswith("] first INFO - hello\n")
    assert written.startswith("[20")
    assert set_logger("first") is logger
    assert len(logger.handlers) == 2


def test_other_ranks_write_to_their_files_only(tmp_path, capsys, forget):
    forget("second")
    set_logger("second", str(tmp_path), 1, logging.DEBUG).debug("quiet")
    assert capsys.readouterr().out == ""
    assert (tmp_path / "rank1.log").read_text().endswith(" second DEBUG - quiet\n")


def test_colors_mark_time_and_warnings_on_the_screen_only(tmp_path, capsys, forget):
    forget("third")
    set_logger("third", str(tmp_path)).warning("careful")
    shown = capsys.readouterr().out
    assert shown.startswith("\x1b[32m[20")
    assert "\x1b[33mWARNING\x1b[0m - careful" in shown
    assert "\x1b" not in (tmp_path / "rank0.log").read_text()


def test_the_sum_over_one_process_is_the_tensor():
    assert AllReduceSum()(Tensor([1.0, 2.0])).asnumpy().tolist() == [1.0, 2.0]


def test_the_names_that_mindcv_scripts_import_exist():
    from mindcv.utils.callbacks import StateMonitor
    from mindcv.utils.checkpoint_manager import CheckpointManager
    from mindcv.utils.download import DownLoad
    from mindcv.utils.random import set_seed as seed

    assert (utils.StateMonitor, utils.CheckpointManager) == (StateMonitor, CheckpointManager)
    assert (utils.DownLoad, utils.set_seed) == (DownLoad, seed)
