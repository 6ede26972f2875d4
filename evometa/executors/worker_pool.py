"""The local executor: trials of plain-Python problems run in worker processes of this machine.

Each worker is a fresh interpreter that builds the problem from its description (:mod:`evometa.naming`);
:mod:`evometa.executors.crew` hands them the calls.
"""

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

import jax

from evometa import naming
from evometa.errors import ConfigurationError
from evometa.executors.calls import require_callable
from evometa.executors.crew import Crew, Post
from evometa.executors.executor import Outcome, Trial
from evometa.executors.messages import pack_problem, pack_trial
from evometa.problem import HostProblem


class WorkerPool:
    """Runs trials of a :class:`~evometa.HostProblem` in worker processes of this machine; an executor.

    A context manager; leaving it ends the workers. They start when first needed, with one thread each for linear
    algebra (unless ``OMP_NUM_THREADS`` says otherwise) and JAX on the CPU.

    Args:
        problem: the problem that evaluates ω.
        workers: processes at work at once, at least 1.
        calls: calls after which a worker is replaced; None: as many as it can do.
        memory: bytes that a worker may hold after a call before it is replaced; None: an equal share of 80 % of the
            machine's memory, or of the container's.
        gives_up: asked while calls run whether to give them up: how many are left, when one returned last (by
            ``time.monotonic``), and how many seconds the longest took.

    Raises:
        ConfigurationError: fewer than one worker, call or byte, a problem that cannot be described to another process,
            or a script that starts the pool while a worker imports it.
    """

    def __init__(
        self,
        problem: HostProblem,
        workers: int,
        *,
        calls: int | None = None,
        memory: float | None = None,
        gives_up: Callable[[int, float, float], bool] = lambda calls, returned, longest: False,
    ) -> None:
        naming.refuse_while_importing("worker processes")
        for name, value, what in (
            ("workers", workers, "1 worker process"),
            ("calls", calls, "1 call of each worker"),
            ("memory", memory, "1 byte for each worker"),
        ):
            if value is not None and not value >= 1:
                raise ConfigurationError(f"WorkerPool expects at least {what}, got {name}={value}.")
        self._problem, self._size = problem, workers
        self._crew = Crew(post_for(problem, calls, memory), workers, gives_up)
        self._numbers = itertools.count()

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._crew.close()

    @property
    def capacity(self) -> int:
        """One trial for each worker, and one more that waits where there are several."""
        return self._size + (self._size > 1)

    def submit(self, trials: Sequence[Trial]) -> list[int]:
        """Take trials to run; workers are handed them by :meth:`as_completed`.

        An outcome depends on ω and the seed alone, never on which worker computed it or when. Only a time limit and a
        worker's death are matters of chance.

        Raises:
            ConfigurationError: ``evaluate_test`` of a problem without one, or a budget, which the pool cannot keep.
        """
        require_callable("WorkerPool", self._problem, trials)
        numbers = [next(self._numbers) for _ in trials]
        for number, trial in zip(numbers, trials, strict=True):
            self._crew.take(number, pack_trial(trial, number))
        return numbers

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        """Return number and outcome of each trial as it is completed, until none is left.

        Raises:
            ConfigurationError: a worker that cannot start.
            GivenUp: ``gives_up`` said so.
        """
        return self._crew.as_completed()


def post_for(problem: HostProblem, calls: int | None, memory: float | None) -> Post:
    """Return what worker processes are told of a problem, with the import path and JAX's switch of this process."""
    return Post(
        pack_problem(problem),
        tuple(os.path.abspath(entry) for entry in sys.path),
        bool(jax.config.jax_enable_x64),  # type: ignore[attr-defined]  # the user's, not the search's
        problem.call_limit,
        calls,
        memory,
    )
