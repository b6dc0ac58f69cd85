"""Output of MindSpore that users can do nothing about is suppressed."""

import contextlib
import logging
import os

from mindcv.runtime.quiet import quiet_logging, quiet_stderr


def test_quiet_stderr_holds_back_what_c_writes_unless_there_is_an_error(capfd):
    with quiet_stderr():
        os.write(2, b"connecting...\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
    with contextlib.suppress(KeyError), quiet_stderr():
        os.write(2, b"connecting...\n")
        raise KeyError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "connecting...\nafter\n"


def test_quiet_logging_ends_with_its_block_even_by_an_error(caplog):
    logger = logging.getLogger("mindcv.test")
    with contextlib.suppress(KeyError), quiet_logging():
        logger.critical("hidden")
        raise KeyError
    logger.critical("shown")
    assert [record.getMessage() for record in caplog.records] == ["shown"]
