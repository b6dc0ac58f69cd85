"""A process of its own for each test of these files: no launcher, no handlers of an earlier test."""

import logging
import os
import signal

import mindspore as ms
import pytest

from tests.support.processes import LAUNCHERS


@pytest.fixture(autouse=True)
def _pynative_and_alone(monkeypatch):
    for name in os.environ:
        if name.startswith(LAUNCHERS):
            monkeypatch.delenv(name)
    logger = logging.getLogger("mindcv")
    monkeypatch.setattr(logger, "handlers", [])
    level = logger.level
    on_kill = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, on_kill)
    logger.setLevel(level)
    ms.set_context(mode=ms.PYNATIVE_MODE)
