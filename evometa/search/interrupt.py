"""Ctrl-C as a request: finish the dispatch in flight, write a checkpoint, return."""

import signal
import threading
from types import FrameType
from typing import Any


class Interrupt:
    """While entered, the first SIGINT sets :attr:`requested`, the second raises KeyboardInterrupt.

    Only the main thread can take signals; in any other the context manager does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def renew(self) -> bool:
        """Return whether there was a request, and wait for a new one: the next SIGINT is a first one again."""
        requested, self.requested = self.requested, False
        return requested

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
