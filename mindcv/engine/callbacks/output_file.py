"""Files about a run that it can go on without."""

import logging
from collections.abc import Callable
from pathlib import Path

from mindcv.engine.callbacks.run_callback import RunCallback
from mindcv.errors import UserError

__all__ = ["OutputFile"]

logger = logging.getLogger(__name__)


class OutputFile(RunCallback):
    """Base of the callbacks that write a file; a warning replaces one that cannot be written.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.failed = False

    def attempt(self, write: Callable[[], None]) -> None:
        """Write the file, or warn: once, until it works again.

        Args:
            write: Writes it, and raises OSError or UserError where it cannot.
        """
        try:
            write()
        except (OSError, UserError) as error:
            if not self.failed:
                reason = error.strerror if isinstance(error, OSError) else None
                logger.warning(
                    "%s cannot be written (%s): training continues without it", self.path, reason or error
                )
            self.failed = True
        else:
            self.failed = False
