"""Keeping from users what MindSpore says and they can do nothing about."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_logging"]


@contextmanager
def quiet_logging() -> Iterator[None]:
    """Let nothing be logged meanwhile: for calls whose failure is told in our own words anyway."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
