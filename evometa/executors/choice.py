"""Which executor evaluates a plain-Python problem, from what the user gave as ``workers``."""

import inspect
from collections.abc import Callable
from typing import Literal

from evometa.backend.container import cpu_cores
from evometa.errors import ConfigurationError
from evometa.executors.executor import Executor
from evometa.executors.in_process import InProcess
from evometa.executors.ray_settings import Ray
from evometa.executors.supervised import Supervised
from evometa.executors.worker_pool import WorkerPool
from evometa.problem import HostProblem
from evometa.settings import Natural

Workers = Natural | Literal["ray"] | Ray | Callable[[HostProblem], Executor] | None
"""A number of worker processes, 0 for this process, None for one worker a core, a Ray cluster, or what makes a user's
own executor."""


def executor_for(
    problem: HostProblem,
    workers: Workers,
    *,
    calls: int | None = None,
    memory: float | None = None,
    gives_up: Callable[[int, float, float], bool] = lambda left, returned, longest: False,
    most: int | None = None,
) -> Executor:
    """Return the executor that a user chose; it starts when it is entered or first needed.

    Args:
        problem: the problem that evaluates ω.
        workers: the choice.
        calls: calls after which a worker process is replaced.
        memory: bytes that a worker process may hold before it is replaced.
        gives_up: asked while calls run whether to give them up, as :class:`WorkerPool` does.
        most: calls that there are at all, and so the most workers that are of use.

    Raises:
        ConfigurationError: the user's own function does not take a problem, or returns no executor.
    """
    if callable(workers):
        _require_one_argument(workers, problem)
        executor = workers(problem)
        missing = [
            name
            for name in ("capacity", "submit", "as_completed", "__enter__", "__exit__")
            if not hasattr(executor, name)
        ]
        if missing:
            raise ConfigurationError(
                f"workers expects a function that returns an executor (evometa.executors.Executor), got "
                f"{type(executor).__name__}, which has no {', no '.join(missing)}; define it."
            )
        return Supervised(executor, gives_up)
    if isinstance(workers, str | Ray):
        from evometa.executors.ray_executor import RayExecutor

        settings = workers if isinstance(workers, Ray) else Ray()
        return RayExecutor(problem, settings, calls=calls, memory=memory, gives_up=gives_up)
    if workers == 0:
        return InProcess(problem, gives_up=gives_up)
    size = min(workers or cpu_cores(), most or workers or cpu_cores())
    return WorkerPool(problem, size, calls=calls, memory=memory, gives_up=gives_up)


def needs_description(workers: Workers) -> bool:
    """Return whether the problem must be rebuilt in another process."""
    return workers != 0 and not callable(workers)


def _require_one_argument(make: Callable[[HostProblem], Executor], problem: HostProblem) -> None:
    try:
        inspect.signature(make).bind(problem)
    except TypeError as error:
        name = getattr(make, "__name__", type(make).__name__)
        raise ConfigurationError(
            f"workers expects a function that takes the problem and returns an executor, and {name} cannot be called "
            f"with one argument: {error}; have it take the problem."
        ) from None
    except ValueError:  # it has no signature, as some of Python's own
        pass
