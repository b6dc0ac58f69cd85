"""The kind of an archive, by its file name."""

from pathlib import PurePath

__all__ = ["ALIASES", "ARCHIVES", "COMPRESSIONS", "detect_file_type"]

ARCHIVES = (".tar", ".zip")
COMPRESSIONS = (".bz2", ".gz")
ALIASES = {".tbz": (".tar", ".bz2"), ".tbz2": (".tar", ".bz2"), ".tgz": (".tar", ".gz")}


def detect_file_type(filename: str) -> tuple[str, str | None, str | None] | None:
    """Return what a file name says about its format.

    Args:
        filename: Name or path of a file.

    Returns:
        Suffix, archive format and compression, such as ``(".tar.gz", ".tar", ".gz")`` or
        ``(".zip", ".zip", None)``; None for the name of another kind of file.

    Raises:
        RuntimeError: The name has no suffix.
    """
    suffixes = PurePath(filename).suffixes
    if not suffixes:
        raise RuntimeError(f"{filename}: a file name without a suffix: rename the file, for example to .zip")
    last = suffixes[-1]
    if last in ALIASES:
        return (last, *ALIASES[last])
    if last in ARCHIVES:
        return last, last, None
    if last not in COMPRESSIONS:
        return None
    if suffixes[-2:-1] == [".tar"]:
        return f".tar{last}", ".tar", last
    return last, None, last
