"""Record of images that cannot be read, and the report on them."""

from threading import Lock

__all__ = ["BadImages"]

NAMED = 5


class BadImages:
    """The files of a dataset that were found bad; several threads may add to it.

    Args:
        origin: Folder of the dataset, for the report.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._lock = Lock()
        self._named: set[str] = set()
        self._faults: dict[str, str] = {}
        self._count = 0

    def add(self, name: str, fault: str) -> None:
        """Count an image that was asked for and is bad.

        Args:
            name: Its file, below the dataset's folder.
            fault: What is wrong, in words that follow the name.
        """
        with self._lock:
            self._count += 1
            self._faults[name] = fault

    def report(self, outcome: str, *, rank: str = "", always: bool = True) -> str:
        """Report the bad images since the last report, in one line that names each file once per run.

        Args:
            outcome: What became of such images: replaced, for example.
            rank: Which rank's images these are, where there are several.
            always: Report a count of files that were all named before.

        Returns:
            The line; empty if there is nothing to report.
        """
        with self._lock:
            count, faults = self._count, self._faults
            self._count, self._faults = 0, {}
            new = sorted(faults.keys() - self._named)
            self._named.update(new)
        if not count or not (new or always):
            return ""
        images = "1 image" if count == 1 else f"{count} images"
        line = f"{images} of {self._origin}{rank} could not be read: {outcome}"
        if not new:
            return f"{line} (named before)"
        more = f" and {len(new) - NAMED} more" if len(new) > NAMED else ""
        return f"{line}. " + ", ".join(f"{name} {faults[name]}" for name in new[:NAMED]) + more
