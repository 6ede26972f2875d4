"""Ctrl-C and requests to terminate: finish the dispatch in flight, write a checkpoint, return."""

import contextlib
import math
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

TERMINATING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What schedulers, containers and closed terminals send to end a process."""


PATIENCE = 2.0
"""Seconds that calls of a plain-Python problem have at least, once the search was asked to end."""

MOMENT = 0.5
"""Seconds after which a Ctrl-C that nothing has followed from is answered."""


@contextlib.contextmanager
def told_of_interrupts(announce: Callable[[str], None]) -> Iterator[None]:
    """While entered, answer a Ctrl-C at once in words, where the compiler keeps Python from acting on it.

    Only the main thread of a process that watches signals in no other way is answered.

    Args:
        announce: shows the words; called by another thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.setblocking(False)
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        if before != -1:  # somebody else watches them, such as an event loop
            signal.set_wakeup_fd(before)
            yield
            return
        watcher = threading.Thread(target=_answer, args=(receiver, announce), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            sender.close()
            watcher.join()


def _answer(receiver: socket.socket, announce: Callable[[str], None]) -> None:
    """Announce the first Ctrl-C of which nothing follows for a moment; return when the other end is closed."""
    with contextlib.suppress(TimeoutError):
        while received := receiver.recv(64):
            if signal.SIGINT in received:
                receiver.settimeout(MOMENT)
        return
    announce("interrupted: ends when the compiler is done, which cannot be stopped; Ctrl-\\ ends the process at once")
    receiver.settimeout(None)
    while receiver.recv(64):
        pass


class Interrupt:
    """While entered, the first SIGINT sets :attr:`requested`, the second raises KeyboardInterrupt.

    Where the search waits for calls that can be given up (:meth:`gives_up`), the second one does that instead, and the
    third raises KeyboardInterrupt. SIGTERM and SIGHUP set ``requested`` too, for good, unless the process ignores them
    (``nohup``); :meth:`resend` then does what they would have done. A second one does that at once. Only the main
    thread can take signals; in any other the context manager does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self.announce: Callable[[str], None] = lambda words: None
        """Told in words, once after each request, what the search waits for."""
        self._announced = False
        self._since = math.inf
        self._waits = self._insisted = self._gave_up = False
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
        requested, self.requested = self.requested, self._ending is not None or self._gave_up
        self._announced = self._insisted = False
        return requested

    def gives_up(self, calls: int, returned: float, longest: float) -> bool:
        """Return whether to give up the calls in flight; asked again and again while they run.

        So it is after a second Ctrl-C; two seconds after SIGTERM; and after one Ctrl-C when no call has returned for
        two seconds and for three times as long as any call took.

        Args:
            calls: how many are in flight or wait.
            returned: when a call returned last, or the first one began, by ``time.monotonic``.
            longest: seconds of the longest call so far.
        """
        self._waits = True
        if not self.requested:
            return False
        if not self._announced:
            self._announced = True
            self.announce(f"ending after the {calls} calls that are left in this step; Ctrl-C gives them up")
        patience = PATIENCE if self._ending is not None else max(PATIENCE, 3 * longest)
        begun = self._since if self._ending is not None else max(self._since, returned)
        self._gave_up = self._insisted or time.monotonic() >= begun + patience
        return self._gave_up

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
        if self.requested and (self._insisted or not self._waits):
            raise KeyboardInterrupt
        self._insisted = self.requested
        self._since = min(self._since, time.monotonic()) if self.requested else time.monotonic()
        self.requested = True

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        again = self._ending is not None
        self.requested, self._ending, self._since = True, number, time.monotonic()
        if again:
            self._restore()
            self.resend()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
