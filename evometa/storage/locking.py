"""One process at a time writes to a run directory."""

import errno
from pathlib import Path

from filelock import FileLock, Timeout

from evometa.errors import RunDirectoryError, warn

LOCK = ".lock"
_CANNOT_LOCK = frozenset({errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP})
"""How a file system answers that it has no locks: Lustre mounted without them, NFS without its lock service."""


def lock(path: Path) -> FileLock:
    """Lock a folder for this process; the system takes the lock back when the process ends, however it ends.

    Where the file system cannot lock, a warning says so and the search runs without: filelock's other kind of lock, a
    file that says "taken", would stay after a kill and keep the run from being resumed, and a refusal would keep
    people from the only large disk that some clusters have.
    """
    if not path.is_dir():  # filelock would make it
        raise RunDirectoryError(f"{path} was expected to be a folder that can be written to, and is not there.")
    taken = FileLock(path / LOCK, thread_local=False, fallback_to_soft=False)
    try:
        taken.acquire(blocking=False)
    except Timeout:
        raise RunDirectoryError(
            f"{path} is being written to by another search; wait for it, or choose another run_directory."
        ) from None
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise unusable(path, error) from None
        warn(
            f"{path} is on a file system that cannot lock files ({error.strerror}): a second search that writes there "
            "would not be noticed, so start only one, or choose a run_directory elsewhere.",
        )
    return taken


def unusable(path: Path, error: OSError) -> RunDirectoryError:
    """Return the error of a folder that cannot be written to."""
    return RunDirectoryError(
        f"{path} was expected to be a folder that can be written to: {error.strerror or error}; choose another "
        "run_directory, or fix its permissions."
    )
