"""The local executor: trials of plain-Python problems run in worker processes of this machine.

Each worker is a fresh interpreter that builds the problem from its description (:mod:`evometa.naming`) and speaks
frames over pipes (:mod:`evometa.executors.worker`). Whatever happens in user code stays there: an exception, a hang or
a crash costs one trial, and the worker where needed, never the search. For POSIX systems.
"""

import collections
import contextlib
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from types import TracebackType
from typing import IO, Any, cast

import jax

from evometa.errors import ConfigurationError
from evometa.executors.executor import Outcome, Trial, failed
from evometa.executors.worker import GRACE, SIZES, pack
from evometa.naming import describe, refuse_while_importing, user_file
from evometa.problem import HostProblem

START_LIMIT = 300.0
"""Seconds a worker may take to import the problem."""

LOOK = 1.0
"""Seconds between looks at workers that may have died with their pipes held open by children of their own."""

TAIL = 4000
"""Bytes of a worker's last words kept for an error message."""

# A worker sees the modules that its parent sees, whatever made them importable there.
BOOT = "import sys; sys.path[:] = sys.argv[1:]; del sys.argv[1:]; from evometa.executors.worker import main; main()"


class WorkerPool:
    """Runs trials of a :class:`~evometa.HostProblem` in worker processes of this machine; an executor.

    A context manager; leaving it ends the workers. They start when first needed, with one thread each for linear
    algebra (unless ``OMP_NUM_THREADS`` says otherwise) and JAX on the CPU.

    Args:
        problem: the problem that evaluates ω.
        workers: processes at work at once, at least 1.

    Raises:
        ConfigurationError: fewer than one worker, a problem that cannot be described to another process, or a script
            that starts the pool while a worker imports it.
    """

    def __init__(self, problem: HostProblem, workers: int) -> None:
        refuse_while_importing("worker processes")
        if workers < 1:
            raise ConfigurationError(f"WorkerPool expects at least 1 worker process, got workers={workers}.")
        self._problem = problem
        self._size = workers
        self._introduction = pack({"problem": describe(problem)})
        file = user_file(type(problem))
        self._path = [os.path.abspath(entry) for entry in sys.path] + ([str(file.parent)] if file else [])
        self._workers: list[_Worker] = []
        self._waiting: collections.deque[tuple[int, Trial]] = collections.deque()
        self._numbers = itertools.count()

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, and whatever they started."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.end(patience=GRACE)
        self._workers = []

    def submit(self, trials: Sequence[Trial]) -> list[int]:
        """Take trials to run; workers are handed them by :meth:`as_completed`.

        An outcome depends on ω and the seed alone, never on which worker computed it or when. Only a time limit and a
        worker's death are matters of chance.

        Raises:
            ConfigurationError: ``evaluate_test`` of a problem without one, or a budget, which the pool cannot keep.
        """
        numbers = []
        for trial in trials:
            if trial.method == "evaluate_test" and not self._problem.has_test():
                raise ConfigurationError(
                    f"{type(self._problem).__name__} expects a method evaluate_test(rng, omega) to be evaluated on "
                    "what is held out, but has none; define it."
                )
            if trial.budget is not None:
                raise ConfigurationError(
                    f"WorkerPool expects trials without a budget, which it cannot keep, got budget={trial.budget}."
                )
            numbers.append(next(self._numbers))
            self._waiting.append((numbers[-1], trial))
        return numbers

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        """Return number and outcome of each trial as it is completed, until none is left.

        Raises:
            ConfigurationError: a worker that cannot start.
        """
        try:
            while self._waiting or any(worker.trial is not None for worker in self._workers):
                self._staff(len(self._waiting))
                for worker in self._workers:
                    if worker.idle and self._waiting:
                        number, trial = self._waiting.popleft()
                        header = {"method": trial.method, "seed": [int(part) for part in trial.seed]}
                        worker.hand(number, pack(header, jax.tree.leaves(trial.omega)), self._problem.time_limit)
                _listen(self._workers)
                for worker in list(self._workers):
                    number_in_flight, outcome = worker.trial, worker.look()
                    if worker.ended:
                        self._workers.remove(worker)
                    if number_in_flight is not None and outcome is not None:
                        yield number_in_flight, outcome
        finally:
            self._waiting.clear()
            for worker in [worker for worker in self._workers if worker.trial is not None]:
                worker.end()  # interrupted: its late answer must not be taken for one of a later trial
                self._workers.remove(worker)

    def _staff(self, waiting: int) -> None:
        """Drop workers that died while idle, and start those that the waiting trials need."""
        for worker in [worker for worker in self._workers if worker.idle and worker.process.poll() is not None]:
            worker.end()
            self._workers.remove(worker)
        free = sum(worker.trial is None for worker in self._workers)
        for _ in range(min(waiting - free, self._size - len(self._workers))):
            self._workers.append(_Worker(self._path, self._introduction))


def _listen(workers: Sequence["_Worker"]) -> None:
    """Sleep until a worker has something to say, or a limit may have passed."""
    deadline = min((worker.deadline for worker in workers if not worker.idle), default=math.inf)
    wait(
        [stream.fileno() for worker in workers for stream in worker.streams],
        max(0.0, min(LOOK, deadline - time.monotonic())),
    )


class _Worker:
    """One worker process, seen from the parent."""

    def __init__(self, path: Sequence[str], introduction: bytes) -> None:
        environment = {
            "OMP_NUM_THREADS": "1",  # read by OpenMP, OpenBLAS and MKL alike
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_ENABLE_X64": str(int(jax.config.jax_enable_x64)),  # type: ignore[attr-defined]
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", BOOT, *path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=True,  # a group that can be killed as one, and that Ctrl-C in the terminal passes by
        )
        self._input = cast("IO[bytes]", self.process.stdin)
        self._replies = cast("IO[bytes]", self.process.stdout)
        self._errors = cast("IO[bytes]", self.process.stderr)
        for stream in (self._replies, self._errors):
            os.set_blocking(stream.fileno(), False)
        self.streams: list[IO[bytes]] = [self._replies, self._errors]
        self.ready = False
        self.ended = False
        self.trial: int | None = None
        self.deadline = time.monotonic() + START_LIMIT
        self._limit: float | None = None
        self._received = bytearray()
        self._words = b""
        self._write(introduction)

    @property
    def idle(self) -> bool:
        """Whether the worker could take a trial."""
        return self.ready and self.trial is None

    def hand(self, trial: int, frame: bytes, limit: float | None) -> None:
        """Give the worker a trial."""
        self.trial, self._limit = trial, limit
        self._write(frame)
        self.deadline = math.inf if limit is None else time.monotonic() + limit

    def _write(self, frame: bytes) -> None:
        rest = memoryview(frame)
        with contextlib.suppress(BrokenPipeError):  # a dead worker is noticed, with its reason, by look()
            while rest:
                rest = rest[self._input.write(rest) :]

    def look(self) -> Outcome | None:
        """Take in what the worker said; return the outcome of its trial once there is one."""
        gone = self.process.poll() is not None  # asked before listening, so that its last answer still counts
        self._hear()
        reply = self._reply()
        if reply is None:
            if gone or self._replies not in self.streams:
                return self._bury()
            return self._give_up() if time.monotonic() >= self.deadline else None
        if not self.ready:
            self.ready, self.deadline = True, math.inf
            sys.stderr.write(self._words.decode(errors="replace"))
            return None
        self.trial = None
        if "failure" in reply:
            return failed(reply["failure"], reply.get("error"))
        return Outcome(reply["fitness"], reply["metrics"], None, reply["vectors"])

    def _hear(self) -> None:
        for stream in list(self.streams):
            while chunk := stream.read(1 << 16):
                if stream is self._replies:
                    self._received += chunk
                    continue
                self._words = (self._words + chunk)[-TAIL:]
                if self.ready:  # by way of sys.stderr, so that a progress bar can make room for it
                    sys.stderr.write(chunk.decode(errors="replace"))
            if chunk is not None:  # empty: the other end is closed
                self.streams.remove(stream)

    def _reply(self) -> dict[str, Any] | None:
        if len(self._received) < SIZES.size:
            return None
        size = SIZES.size + SIZES.unpack_from(self._received)[0]
        if len(self._received) < size:
            return None
        reply: dict[str, Any] = json.loads(self._received[SIZES.size : size])
        del self._received[:size]
        return reply

    def _bury(self) -> Outcome:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(LOOK)  # its own death's reason, rather than that of being killed below
        self.end()
        code = self.process.returncode
        reason = f"signal {-code}" if code < 0 else f"exit status {code}"
        if not self.ready:
            raise self._start_error(f"ended with {reason}")
        return failed(f"worker died ({reason})")

    def _give_up(self) -> Outcome:
        self.end()
        if not self.ready:
            raise self._start_error(f"did not import the problem within {START_LIMIT:g} s")
        return failed(f"time limit of {self._limit:g} s exceeded")

    def _start_error(self, what: str) -> ConfigurationError:
        words = self._words.decode(errors="replace").strip() or "(nothing)"
        return ConfigurationError(
            f"A worker process expects to import and build the problem, but {what}; fix what it says here:\n{words}"
        )

    def dismiss(self) -> None:
        """Ask the worker to end by closing its input."""
        self._input.close()

    def end(self, patience: float = 0.0) -> None:
        """Kill the worker and all it started, after so many seconds in which it may end by itself."""
        if patience:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone already
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._hear()
        for stream in (self._input, self._replies, self._errors):
            stream.close()
        self.streams, self.ended = [], True
