"""Messages on a pipe or a connection: JSON objects, one a line."""

import contextlib
import json
import os
import threading
import time
from typing import Any

BEAT_SECONDS = 1.0
"""From one sign of life to the next."""
SILENT_SECONDS = 9.0
"""Without a sign of life for so long, a process or machine counts as lost."""
_LONGEST = 2**20


class Lines:
    """One end of a pipe or connection, which never blocks.

    Args:
        descriptor: of the file to read and write; it is set not to block.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.closed = False
        """Whether the other end is gone, or has sent what is no message."""
        self.heard = time.monotonic()
        """When anything came last, by the monotonic clock."""
        self._rest, self._unsent, self._sending = b"", b"", threading.Lock()
        os.set_blocking(descriptor, False)

    def read(self) -> list[dict[str, Any]]:
        """Return the messages that have come."""
        found: list[dict[str, Any]] = []
        try:
            while block := os.read(self.descriptor, 65536):
                self.heard = time.monotonic()
                self._rest += block
            self.closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            if isinstance(message, dict):
                found.append(message)
            else:
                self.closed = True
        self.closed |= len(self._rest) > _LONGEST
        return found

    def send(self, **message: Any) -> None:
        """Send a message as far as the other end takes it now, and the rest with the next one; from any thread."""
        with self._sending:
            self._unsent += json.dumps(message).encode() + b"\n"
            try:
                self._unsent = self._unsent[os.write(self.descriptor, self._unsent) :]
            except BlockingIOError:
                self.closed |= len(self._unsent) > _LONGEST
            except OSError:
                self.closed = True

    def silent(self) -> bool:
        """Return whether nothing has come for too long."""
        return time.monotonic() - self.heard > SILENT_SECONDS

    def close(self) -> None:
        """Close this end."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
