"""Loggers that write to the screen on rank 0, and to a file for each rank."""

import logging
import sys
from pathlib import Path

__all__ = ["set_logger"]

FORMAT = "%(asctime)s %(name)s %(levelname)s - %(message)s"
DATES = "[%Y-%m-%d %H:%M:%S]"
GREEN, RESET = "\x1b[32m", "\x1b[0m"
COLORS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[1;31m"}


class _ColorFormatter(logging.Formatter):
    """Prints the time in green, and the level in yellow or red where it is a warning or an error."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the name is logging's
        shown = logging.makeLogRecord(record.__dict__)
        shown.asctime = f"{GREEN}{record.asctime}{RESET}"
        if record.levelno in COLORS:
            shown.levelname = f"{COLORS[record.levelno]}{record.levelname}{RESET}"
        return super().formatMessage(shown)


def set_logger(
    name: str | None = None,
    output_dir: str | None = None,
    rank: int = 0,
    log_level: int = logging.INFO,
    color: bool = True,
) -> logging.Logger:
    """Return a logger with its handlers; a second call for the same name changes nothing.

    Args:
        name: Name of the logger; None for the root logger.
        output_dir: Folder of a log file ``rank<n>.log``, created if missing; None for no file.
        rank: Rank of this process. Only rank 0 writes to standard output.
        log_level: Lowest level that is written.
        color: Whether standard output is colored.
    """
    logger = logging.getLogger(name)
    if getattr(logger, "set_by_mindcv", False):
        return logger
    logger.set_by_mindcv = True  # type: ignore[attr-defined]
    logger.setLevel(log_level)
    logger.propagate = False
    plain = logging.Formatter(FORMAT, DATES)
    if rank == 0:
        console = logging.StreamHandler(sys.stdout)
        _add(logger, console, log_level, _ColorFormatter(FORMAT, DATES) if color else plain)
    if output_dir is not None:
        folder = Path(output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        _add(logger, logging.FileHandler(folder / f"rank{rank}.log"), log_level, plain)
    return logger


def _add(
    logger: logging.Logger, handler: logging.Handler, log_level: int, formatter: logging.Formatter
) -> None:
    handler.setLevel(log_level)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
