"""Ctrl-C and requests to terminate: finish the dispatch in flight, write a checkpoint, return."""

import signal
import threading
from types import FrameType
from typing import Any

TERMINATING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What schedulers, containers and closed terminals send to end a process."""


class Interrupt:
    """While entered, the first SIGINT sets :attr:`requested`, the second raises KeyboardInterrupt.

    SIGTERM and SIGHUP set it too, for good, unless the process ignores them (``nohup``); :meth:`resend` then does what
    they would have done. A second one does that at once. Only the main thread can take signals; in any other the
    context manager does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}
        self._ending: int | None = None

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._handle)
            for number in TERMINATING:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._terminate)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def renew(self) -> bool:
        """Return whether there was a request, and wait for a new one: the next SIGINT is a first one again."""
        requested, self.requested = self.requested, self._ending is not None
        return requested

    def resend(self) -> None:
        """Do what a signal to terminate would have done, now that everything is written and closed.

        Raises:
            SystemExit: there was one, and nobody else handles it; the status is that of a process it ended.
        """
        number, self._ending = self._ending, None
        if number is None:
            return
        if signal.getsignal(number) is signal.SIG_DFL:
            raise SystemExit(128 + number)
        signal.raise_signal(number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        again = self._ending is not None
        self.requested, self._ending = True, number
        if again:
            self._restore()
            self.resend()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
