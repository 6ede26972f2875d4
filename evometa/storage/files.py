"""Atomic writing of files: neither a reader nor a crash leaves half of one.

Some network and FUSE mounts have no permissions to set, or cannot sync a file to disk. There, files are written as
safely as the mount allows; a write that failed (a full disk, a bad one) is an error everywhere.
"""

import contextlib
import errno
import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evometa.errors import RunDirectoryError

_NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""How a file system answers that it cannot make a file or folder durable."""


class NotWritten(RunDirectoryError):
    """A file of a run could not be written (a full disk, a folder that is gone); the search itself is sound."""


def run_folder(path: str | os.PathLike[str]) -> Path:
    """Return the folder of a run as an absolute path, which a changed working directory does not move; ``~`` is home.

    Raises:
        RunDirectoryError: there is no such home.
    """
    try:
        return Path(os.path.abspath(Path(path).expanduser()))
    except RuntimeError:
        raise RunDirectoryError(
            f"{path} was expected to be a folder, and there is no such home; write it out."
        ) from None


def npz(arrays: Mapping[str, NDArray[Any]], *, compressed: bool = True) -> bytes:
    """Return the content of an .npz file of arrays, nothing pickled.

    Raises:
        TypeError: an array of Python objects.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:  # savez can be told not to pickle only since NumPy 2.1
            raise TypeError(f"Expected arrays of numbers and text, got one of Python objects, {name!r}.")
    content = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(content, **dict(arrays))  # type: ignore[arg-type]  # some names are options in its stub
    return content.getvalue()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically and durably: a synced temporary file in the same folder is renamed to it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            with contextlib.suppress(OSError):  # a mount without permissions (FAT, CIFS, WSL's /mnt/c) has none to set
                os.fchmod(handle, 0o644)  # temporary files are private, but everyone may read the finished one
            file.write(content)
            file.flush()
            sync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync(descriptor: int) -> None:
    """Sync an open file to disk, where the file system offers that.

    Raises:
        OSError: the file could not be written.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise


def sync_folder(path: Path) -> None:
    """Sync a folder to disk; a rename in it is durable only after that."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # some mounts open no folder
        return
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
