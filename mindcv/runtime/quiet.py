"""Suppression of MindSpore's output that users can do nothing about."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_logging", "quiet_stderr"]


@contextmanager
def quiet_logging() -> Iterator[None]:
    """Suppress all logging inside the block, for calls whose errors are reported in our own words."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back all output to standard error, also from MindSpore's C++ code; print it if there is an error.

    For the start of a group of processes, which logs every attempt to reach one that is not there yet.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
