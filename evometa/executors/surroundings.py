"""What a call of the user's code finds around it in its worker process, the same for every call.

A call may change the working directory, the environment, signal handlers and alarms, or close and replace the standard
streams. The next call in the same process must not see that: its outcome depends on ω and the seed alone.
"""

import contextlib
import os
import resource
import signal
import sys
import threading
from pathlib import Path

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)

MOST_THREADS = 256
"""Python threads in a worker above which it is replaced: calls leave theirs behind."""


class Surroundings:
    """The state of this process as it is now, to be restored after each call."""

    def __init__(self) -> None:
        self._folder = _working_directory()
        self._environment = dict(os.environ)
        self._handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self._nothing, self._words = os.open(os.devnull, os.O_RDONLY), os.dup(2)
        self._stream = sys.stderr

    def restore(self) -> None:
        """Undo what a call changed."""
        for timer in _TIMERS:
            signal.setitimer(timer, 0.0)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        if self._folder is not None and _working_directory() != self._folder:
            with contextlib.suppress(OSError):  # it was removed
                os.chdir(self._folder)
        if dict(os.environ) != self._environment:
            for name in set(os.environ) - set(self._environment):
                del os.environ[name]
            os.environ.update(self._environment)
        self._restore_streams()

    def _restore_streams(self) -> None:
        os.dup2(self._nothing, 0)
        os.dup2(self._words, 1)
        os.dup2(self._words, 2)
        if self._stream.closed:
            self._stream = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        for stream in {id(stream): stream for stream in (sys.stdout, sys.stderr)}.values():
            with contextlib.suppress(Exception):  # whatever the call put there
                stream.flush()
        sys.stdout = sys.stderr = self._stream


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def resident_bytes() -> int:
    """Return the bytes of memory that this process holds (where the system does not say: the most it has held)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def worn_out() -> bool:
    """Return whether calls have left so many open files or threads behind that later calls may fail for it."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        opened = len(os.listdir("/proc/self/fd"))
    except OSError:
        opened = 0
    return threading.active_count() > MOST_THREADS or (limit != resource.RLIM_INFINITY and opened > limit // 2)
