"""Signals that ask a run to save its state and stop."""

import os
import signal
import sys
from types import FrameType
from typing import Any

__all__ = ["StopRequest"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


class StopRequest:
    """Whether somebody has asked this process to stop.

    That is Ctrl-C, ``kill``, a scheduler's warning (SIGUSR1), or the end of its terminal (SIGHUP), unless
    ``nohup`` has started it.

    The request is only recorded; the program checks it where stopping is safe. A second Ctrl-C stops at
    once, with status 130.

    It listens from its first call to `stop_listening`.

    Args:
        speaks: Whether to print a message about a request; only one of several processes should.
    """

    def __init__(self, *, speaks: bool = True) -> None:
        self._speaks = speaks
        self._made = False
        self._interrupted = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Return whether a stop was requested, and listen for further signals.

        MindSpore installs its own handlers when it compiles and when a pass over a dataset begins.
        """
        self._listen()
        return self._made

    def stop_listening(self) -> None:
        """Restore the previous handler of each signal."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _listen(self) -> None:
        for number in SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            handler = signal.signal(number, self._note)
            self._before.setdefault(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT and self._interrupted:
            print("stopped at once by a second Ctrl-C", file=sys.stderr, flush=True)
            os._exit(130)
        if number == signal.SIGINT:
            self._interrupted = True
        if not self._made:
            self._made = True
            if self._speaks:
                print("stopping after this step; Ctrl-C again stops at once", file=sys.stderr, flush=True)
