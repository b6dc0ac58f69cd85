"""Errors of the system that a user can fix: a full disk, a lack of permissions, a name that is too long."""

import errno
import os

__all__ = ["explain"]

SPACE, PERMISSIONS, DISK = "free some space", "check its permissions", "check its disk"
REMEDIES = {
    errno.EACCES: PERMISSIONS,
    errno.EPERM: PERMISSIONS,
    errno.EROFS: "choose another folder",
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.ENAMETOOLONG: "shorten it",
    errno.ELOOP: "fix the link",
    errno.ENOTDIR: "check the path",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.EIO: DISK,
    errno.ESTALE: DISK,
    errno.ENXIO: "remove or replace it",
}


def explain(error: OSError) -> str | None:
    """Return a message with the file, what the system says and a remedy; None if it could be our mistake."""
    remedy = REMEDIES.get(error.errno or 0)
    if remedy is None:
        return None
    name = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return f"{name}{os.strerror(error.errno or 0)}: {remedy}"
