"""The file of an :class:`~evometa.AskTell`: its arrays and, as JSON, all else; written atomically, nothing pickled."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evometa.errors import RunDirectoryError
from evometa.storage.files import NotWritten, npz, write_atomically

SCHEMA_VERSION = 1
_HEADER = "header"


class StoredLoop(NamedTuple):
    """What the file holds."""

    header: dict[str, Any]
    """What fits JSON."""
    arrays: dict[str, NDArray[Any]]
    """Arrays by name."""


def write(path: Path, loop: StoredLoop) -> None:
    """Write the file, in place of one that is there.

    Raises:
        NotWritten: it could not be written; one that was there is still there.
    """
    header = json.dumps({"schema_version": SCHEMA_VERSION, **loop.header})
    content = npz({_HEADER: np.array(header), **loop.arrays}, compressed=False)
    try:
        write_atomically(path, content)
    except OSError as error:
        raise NotWritten(
            f"AskTell.save expects a path that it can write to, and {os.fspath(path)} is none: {error.strerror}; give "
            "a file in a folder that is there, with room on its disk."
        ) from error


def read(path: Path) -> StoredLoop:
    """Read the file.

    Raises:
        RunDirectoryError: there is none, it is damaged, or it was written by another schema.
    """
    try:
        content = io.BytesIO(path.read_bytes())  # np.load leaves a file that is no archive open
        with np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop(_HEADER)))
        version = header["schema_version"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RunDirectoryError(
            f"AskTell.restore expects a whole file that AskTell.save has written, and {os.fspath(path)} is none "
            f"({type(error).__name__}); give another path, or begin anew."
        ) from None
    if version != SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{os.fspath(path)} has schema version {version}, and this version of evometa reads {SCHEMA_VERSION}; use "
            f"the version that wrote it, evometa {header.get('version', 'unknown')}."
        )
    return StoredLoop(header, arrays)
