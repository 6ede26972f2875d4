"""A file to which whole lines are appended while a search runs."""

import errno
import os
from pathlib import Path

from evometa.storage.files import sync


class Appended:
    """A file opened for appending; a line is in it as a whole, or not at all.

    Args:
        path: the file; made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115  (closed by close)

    def append(self, lines: bytes) -> None:
        """Append whole lines; if writing fails (a full disk), remove the partial ones and raise the error."""
        end = self._file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(lines):
                written += self._file.write(lines[written:])
        except OSError:
            self._file.truncate(end)
            raise

    def flush(self) -> None:
        """Sync the appended lines to disk, so that they survive a crash of the machine.

        Raises:
            OSError: they could not be written, or the file is no longer there.
        """
        if not self._path.exists():
            raise FileNotFoundError(errno.ENOENT, "the file was removed or moved", str(self._path))
        sync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
