"""What a call of the user's code finds around it, the same for every call.

A call may change the working directory, the environment, signal handlers and alarms, the mask of new files, the
recursion limit, NumPy's treatment of errors, the filters of warnings and the path of imports, or close and replace the
standard streams. The next call in the same process must not see that: its outcome depends on ω and the seed alone. So
NumPy's and Python's shared generators of random numbers begin each call where its seed says.
"""

import contextlib
import os
import random
import resource
import signal
import sys
import threading
import time
import warnings
from _signal import getsignal  # type: ignore[import-not-found]  # signal.getsignal is 20 times slower: it makes enums
from collections.abc import Mapping
from typing import Any

import numpy as np

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)

MOST_THREADS = 256
"""Python threads in a worker above which it is replaced: calls leave theirs behind."""

_SIGNALS = sorted(signal.valid_signals())

LOOK = 0.05
"""Seconds in which calls do not leave much behind."""


class Surroundings:
    """The state of this process as it is now, to be restored after each call."""

    def __init__(self) -> None:
        self._folder = _working_directory()
        self._umask, self._depth, self._errors = os.umask(0), sys.getrecursionlimit(), np.geterr()
        os.umask(self._umask)
        self._environ, self._environment, self._encoded = os.environ, dict(os.environ), dict(_encoded(os.environ))
        self._handlers = list(map(getsignal, _SIGNALS))
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self._timers = [timer for timer in _TIMERS if not signal.getitimer(timer)[0]]
        self._filters: Any = warnings.filters  # a list
        self._kinds = list(warnings.filters)
        self._path, self._places, self._modules = sys.path, list(sys.path), len(sys.modules)

    def restore(self) -> None:
        """Undo what a call changed."""
        for timer in self._timers:
            signal.setitimer(timer, 0.0)
        main = threading.current_thread() is threading.main_thread()  # only that can have changed them
        if main and (handlers := list(map(getsignal, _SIGNALS))) != self._handlers:
            for number, now, handler in zip(_SIGNALS, handlers, self._handlers, strict=True):
                if now is not handler and handler is not None:
                    signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        os.umask(self._umask)
        sys.setrecursionlimit(self._depth)
        if np.geterr() != self._errors:
            np.seterr(**self._errors)
        if warnings.filters is not self._filters or self._filters != self._kinds:
            warnings.filters = self._filters
            warnings.resetwarnings()  # also tells the module that they are others
            self._filters.extend(self._kinds)
        if len(sys.modules) != self._modules:  # imported modules stay, and may have need of what they added to the path
            self._path, self._places, self._modules = sys.path, list(sys.path), len(sys.modules)
        elif sys.path is not self._path or self._path != self._places:
            sys.path = self._path
            sys.path[:] = self._places
        if self._folder is not None and _working_directory() != self._folder:
            with contextlib.suppress(OSError):  # it was removed
                os.chdir(self._folder)
        if os.environ is not self._environ:  # a call put something else there
            os.environ = self._environ  # noqa: B003
        if _encoded(os.environ) != self._encoded:
            for name in set(os.environ) - set(self._environment):
                del os.environ[name]
            os.environ.update(self._environment)


class Streams:
    """The standard streams of a worker process, which all end in the one that the search shows."""

    def __init__(self) -> None:
        self._nothing, self._words = os.open(os.devnull, os.O_RDONLY), os.dup(2)
        self._stream = sys.stderr

    def restore(self) -> None:
        """Undo what a call changed."""
        os.dup2(self._nothing, 0)
        os.dup2(self._words, 1)
        os.dup2(self._words, 2)
        if self._stream.closed:
            self._stream = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        for stream in {id(stream): stream for stream in (sys.stdout, sys.stderr)}.values():
            with contextlib.suppress(Exception):  # whatever the call put there
                stream.flush()
        sys.stdout = sys.stderr = self._stream


def seed_shared_generators(seed: int) -> None:
    """Let the generators that all code shares begin at a seed in [0, 2³²)."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # user code and libraries draw from it


def _encoded(environ: "os._Environ[str]") -> Mapping[Any, Any]:
    """Return the environment as bytes, as it is stored: decoding all of it after each call takes as long as a call."""
    return getattr(environ, "_data", environ)


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


class Wear:
    """What calls have left behind in this process, looked at no more often than each :data:`LOOK` seconds."""

    def __init__(self) -> None:
        self._looked = -LOOK
        self._resident, self._worn = 0, False

    def look(self) -> tuple[int, bool]:
        """Return the bytes of memory that the process holds, and whether it is worn out."""
        if time.monotonic() - self._looked >= LOOK:
            self._resident, self._worn = resident_bytes(), worn_out()
            self._looked = time.monotonic()
        return self._resident, self._worn


def resident_bytes() -> int:
    """Return the bytes of memory that this process holds (where the system does not say: the most it has held)."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:  # a tenth of the time of Path.read_text after a call
            return int(file.read().split()[1]) * resource.getpagesize()
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
