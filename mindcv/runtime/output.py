"""Standard output and error may fail: a full disk, a reader that has left, a terminal without Unicode."""

import codecs
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, TextIO

__all__ = ["Output", "OutputLost", "continue_without_output", "guarded_output"]


class OutputLost(BaseException):
    """Standard output cannot be written, and the program is of no use without it."""


class Output:
    """How writing to standard output went.

    Attributes:
        needed: Whether the program ends as soon as it cannot print.
        failure: The first error; None if there was none.
    """

    def __init__(self) -> None:
        self.needed = True
        self.failure: OSError | None = None

    @property
    def status(self) -> int:
        """Exit status of a program that succeeded otherwise, as the shell and coreutils have it."""
        if self.failure is None:
            return 0
        return 128 + signal.SIGPIPE if isinstance(self.failure, BrokenPipeError) else 1

    def fail(self, error: OSError) -> None:
        """Say once what failed, unless a reader such as ``head`` has seen enough."""
        if self.failure is not None:
            return
        self.failure = error
        if not self.needed or not isinstance(error, BrokenPipeError):
            reason = f"standard output cannot be written ({error.strerror})"
            print(f"{reason}: nothing more is printed there", file=sys.stderr)
        if self.needed:
            raise OutputLost


class _GuardedStream:
    """A text stream that passes its first error on and is silent from then on."""

    def __init__(self, stream: TextIO, output: Output | None) -> None:
        self._stream = stream
        self.output = output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; see `io.TextIOBase.write`."""
        with self._guarded():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._guarded():
            self._stream.flush()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What is still in its buffer, and what this process prints later, goes nowhere.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
            if self.output is not None:  # nobody could read about standard error
                self.output.fail(error)


def continue_without_output() -> None:
    """Let a program that `guarded_output` guards continue from here without printing, if it must."""
    if isinstance(sys.stdout, _GuardedStream) and sys.stdout.output is not None:
        sys.stdout.output.needed = False


@contextmanager
def guarded_output() -> Iterator[Output]:
    """Guard standard output and error inside the block, against errors of writing and of encoding.

    A character that the terminal's encoding lacks is escaped, and a byte of a file name that is not valid
    Unicode is written as it is. An error of standard error is ignored: nobody could read about it.

    The program ends as soon as it cannot print, unless it calls `continue_without_output`.

    Raises:
        OutputLost: Inside the block, if standard output fails and is needed.
        SystemExit: If the block ends with status 0 and standard output has failed.
    """
    _open_closed()
    output = Output()
    before = sys.stdout, sys.stderr
    errors = [stream.errors if isinstance(stream, TextIOWrapper) else None for stream in before]
    for stream in before:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=ESCAPE)
    if sys.stdout is not None:
        sys.stdout = _GuardedStream(sys.stdout, output)
    if sys.stderr is not None:
        sys.stderr = _GuardedStream(sys.stderr, None)
    try:
        yield output
    except SystemExit as ended:
        _flush()
        if output.status and not ended.code:
            raise SystemExit(output.status) from None
        raise
    finally:
        _flush()
        sys.stdout, sys.stderr = before
        for stream, name in zip(before, errors, strict=True):
            if isinstance(stream, TextIOWrapper) and not stream.closed:
                stream.reconfigure(errors=name)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OutputLost):
                stream.flush()


def _open_closed() -> None:
    """Open closed standard streams on /dev/null, lest the next file to be opened takes their number.

    MindSpore's C++ code prints to numbers 1 and 2, and a checkpoint must not be there.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler for encoders; Python keeps bytes of file names as U+DC80 to U+DCFF."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = ord(error.object[error.start])
    if 0xDC80 <= character <= 0xDCFF:
        return bytes([character - 0xDC00]), error.start + 1
    return codecs.backslashreplace_errors(
        UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    )


ESCAPE = "mindcv.escape"
codecs.register_error(ESCAPE, _escape)
