"""The in-process executor: trials of plain-Python problems run one after the other where the search runs.

For debugging: a breakpoint in the problem's code stops there, and what it prints goes where it always does. Seeds,
failures and outcomes are those of the worker processes, but there is no process to lose: a call that crashes ends the
search, and one that exceeds its time limit is not ended. It fails once it returns.
"""

import bdb
import collections
import contextlib
import itertools
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import Any

import jax
import numpy as np
import threadpoolctl

from evometa.backend.precision import users_precision
from evometa.executors.calls import Calls, leaves_of, require_callable
from evometa.executors.executor import GivenUp, Outcome, Trial, failed, outcome_of
from evometa.executors.surroundings import Surroundings
from evometa.problem import HostProblem

LOOK = 0.1
"""Seconds between looks at whether to give up a call, once a signal came."""


class InProcess:
    """Runs trials of a :class:`~evometa.HostProblem` in this process, one at a time; an executor.

    The problem is the instance itself. Linear algebra has one thread meanwhile, unless ``OMP_NUM_THREADS`` says
    otherwise, as in worker processes.

    Args:
        problem: the problem that evaluates ω.
        gives_up: asked, before each call and after a signal, whether to give up: how many trials are left, when one
            returned last (by ``time.monotonic``), and how many seconds the longest took.
    """

    capacity = 1
    """Trials that are at work at once."""

    def __init__(
        self, problem: HostProblem, *, gives_up: Callable[[int, float, float], bool] = lambda *progress: False
    ) -> None:
        self._problem, self._gives_up = problem, gives_up
        self._double = bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]  # the user's, not the search's
        self._calls = Calls(problem, self._ends)
        self._signals = _Signals(lambda: False)
        self._threads = _Threads()
        self._waiting: collections.deque[tuple[int, Trial]] = collections.deque()
        self._numbers = itertools.count()

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def submit(self, trials: Sequence[Trial]) -> list[int]:
        """Take trials to run; :meth:`as_completed` runs them.

        Raises:
            ConfigurationError: ``evaluate_test`` of a problem without one, or a budget, which cannot be kept.
        """
        require_callable("InProcess", self._problem, trials)
        numbered = [(next(self._numbers), trial) for trial in trials]
        self._waiting += numbered
        return [number for number, _ in numbered]

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        """Run the trials in their order; return number and outcome of each.

        Raises:
            GivenUp: ``gives_up`` said so.
        """
        returned, longest = time.monotonic(), 0.0

        def asks() -> bool:
            return self._gives_up(len(self._waiting), returned, longest)

        try:
            while self._waiting:
                if asks():
                    raise GivenUp
                number, trial = self._waiting[0]
                begun = time.monotonic()
                outcome = self._made(trial, asks)
                returned = time.monotonic()
                longest = max(longest, returned - begun)
                self._waiting.popleft()
                yield number, outcome
        finally:
            self._waiting.clear()

    def _made(self, trial: Trial, asks: Callable[[], bool]) -> Outcome:
        """Make the call of a trial; raise what ends the search."""
        self._signals, process, limit = _Signals(asks), os.getpid(), self._problem.call_limit
        leaves = [np.array(leaf, order="C") for leaf in leaves_of(trial.omega)]  # the problem may change them
        seed = [int(part) for part in trial.seed]
        try:
            with (
                _shared_generators(),
                users_precision(double=self._double),
                self._threads.limited(),
                self._signals,
            ):
                begun = time.monotonic()
                outcome = outcome_of(self._calls.answer(trial.method, seed, leaves, (Surroundings(),), trial.cutoffs))
                spent = time.monotonic() - begun
            self._signals.act()  # where the user's code kept what was meant for the search
        except BaseException:
            self._signals.act()
            raise
        if os.getpid() != process:  # the user's code forked, and this is its child
            os._exit(1 if outcome.failure else 0)
        return outcome if limit is None or spent <= limit else failed(f"time limit of {limit:g} s exceeded")

    def _ends(self, error: BaseException) -> bool:
        """Return whether what a call raised ends the search: a signal did, or the user left the debugger."""
        return self._signals.came or isinstance(error, bdb.BdbQuit)


class _Signals:
    """While entered, a signal that asks the search to end may interrupt the call.

    The search's own handlers are called first. From then on a thread asks again and again whether to give up, and the
    call is interrupted, as by Ctrl-C, when that is so. Only the main thread can take signals.
    """

    def __init__(self, asks: Callable[[], bool]) -> None:
        self._asks = asks
        self._raised: BaseException | None = None
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._lock, self._over = threading.Lock(), threading.Event()
        self._watch: threading.Thread | None = None

    @property
    def came(self) -> bool:
        """Whether the call was interrupted."""
        return self._raised is not None

    def act(self) -> None:
        """Raise what ends the search, if the call was interrupted."""
        if self._raised is not None:
            raise self._raised from None

    def __enter__(self) -> "_Signals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                before = signal.getsignal(number)
                if callable(before):
                    self._before[number] = before
                    signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with self._lock:
                self._over.set()
        finally:
            for number, before in self._before.items():
                signal.signal(number, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raised is not None:
            raise KeyboardInterrupt
        try:
            self._before[number](number, frame)
        except BaseException as error:
            self._raised = error
            raise
        if self._watch is None:
            self._watch = threading.Thread(target=self._watched, args=(threading.get_ident(),), daemon=True)
            self._watch.start()

    def _watched(self, main: int) -> None:
        while not self._over.wait(LOOK):
            if not self._asks():
                continue
            with self._lock:
                if not self._over.is_set():
                    self._raised = GivenUp()
                    signal.pthread_kill(main, signal.SIGINT)
            return


class _Threads:
    """One thread for linear algebra, or as many as ``OMP_NUM_THREADS`` says, in whatever libraries are loaded."""

    def __init__(self) -> None:
        named = os.environ.get("OMP_NUM_THREADS", "")
        self._wanted = int(named) if named.isdecimal() and int(named) else 1
        self._modules = 0

    def limited(self) -> Any:
        """Return the context of a call."""
        if len(sys.modules) != self._modules:  # which may have brought libraries
            self._modules, self._controller = len(sys.modules), threadpoolctl.ThreadpoolController()
        return self._controller.limit(limits=self._wanted)


@contextlib.contextmanager
def _shared_generators() -> Iterator[None]:
    """Leave the generators that all code shares as they were before the call, which seeds them."""
    python, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpys)  # noqa: NPY002
