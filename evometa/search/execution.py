"""Making the driver of a search, and choosing what evaluates its candidates.

A compiled problem is evaluated by a population evaluator in one program, a plain-Python problem by an executor.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax

from evometa.errors import ConfigurationError
from evometa.executors.choice import Workers, executor_for
from evometa.halving import Halving
from evometa.problem import BaseProblem, HostProblem, InnerTraining, Problem
from evometa.pruning import Pruning
from evometa.search.asynchronous_driver import AsynchronousDriver
from evometa.search.compiled_driver import CompiledDriver
from evometa.search.driver import ValidationSettings
from evometa.search.interrupt import Interrupt
from evometa.search.planning import plan
from evometa.search.progress import Progress
from evometa.search.run_state import RunState
from evometa.search.stepped_driver import SteppedDriver
from evometa.spaces import Space
from evometa.storage.result import Counters
from evometa.strategy import Strategy


def require_distributable(problem: BaseProblem, *, debugged: bool = False) -> None:
    """Raise ConfigurationError for what only a search in one process does.

    Args:
        problem: the problem of a search in several ranks.
        debugged: whether its candidates are to be examined one by one.
    """
    if isinstance(problem, HostProblem):
        raise ConfigurationError(
            f"A distributed search expects a problem compiled by JAX, and {type(problem).__name__} is one in plain "
            "Python, whose calls several machines share through Ray: start one process with --workers ray "
            "(workers='ray' in Search)."
        )
    if debugged:
        raise ConfigurationError(
            "A search with debug=True (or JAX's own debugging switches) evaluates its candidates one by one in one "
            "process; start it without --distributed."
        )


class Parts(NamedTuple):
    """What is searched, by what, and how that is validated."""

    problem: BaseProblem
    space: Space
    """The space of the problem, with the initial points that the user gave."""
    strategy: Strategy[Any]
    seed: int
    validation: ValidationSettings


class Execution(NamedTuple):
    """On what a search computes; its arguments are those of :class:`~evometa.Search`."""

    population_chunk: int | Literal["auto"]
    memory_budget: int
    devices: int | None
    workers: Workers
    worker_calls: int | None
    worker_memory: int | None
    trials: bool
    """Whether there is a table of trials."""
    halving: Halving | None
    pruning: Pruning | None

    def compiled(self, parts: Parts, counters: Counters, device: jax.Device | None = None) -> CompiledDriver:
        """Return the driver of a compiled problem.

        Args:
            parts: what it is made of.
            counters: the chunk that the run began with is used again; otherwise the one chosen is noted there.
            device: where to compute, with the chunk that would be chosen for all devices; None: on those chosen.
        """
        problem, space, strategy, seed, validation = parts
        assert isinstance(problem, (Problem, InnerTraining))
        evaluator = plan(
            problem,
            space,
            strategy,
            population_chunk=self.population_chunk,
            memory_budget=self.memory_budget,
            devices=self.devices,
            halving=self.halving,
            begun=counters.chunk,
        )
        counters.chunk = evaluator.chunk
        if device is not None:
            evaluator = dataclasses.replace(evaluator, devices=(device,))
        return CompiledDriver(
            evaluator, strategy, seed, validation, memory_budget=self.memory_budget, trials=self.trials
        )

    @contextlib.contextmanager
    def stepped(
        self, parts: Parts, run: RunState, progress: Progress, interrupt: Interrupt, files: Path | None
    ) -> Iterator[SteppedDriver]:
        """Start the executor, and yield the driver of a plain-Python problem.

        Args:
            parts: what it is made of.
            run: its failures are added to those of the run; with calls, the search is asynchronous.
            progress: shows its messages.
            interrupt: may give up the calls in flight.
            files: the folder in which calls may keep files of candidates; None: they keep none.
        """
        problem, space, strategy, seed, validation = parts
        assert isinstance(problem, HostProblem)
        called = problem if files is None else problem.keeping_files(files)
        chosen = executor_for(
            called, self.workers, calls=self.worker_calls, memory=self.worker_memory, gives_up=interrupt.gives_up
        )
        make: Callable[..., SteppedDriver] = SteppedDriver
        if run.calls is not None:
            make = functools.partial(AsynchronousDriver, calls=run.calls, ending=lambda: interrupt.requested)
        with chosen as executor:
            yield make(
                problem,
                space,
                strategy,
                executor,
                seed,
                validation,
                note=progress.note,
                failures=run.failures,
                memory=run.memory,
                double=run.counters.double,
                trials=self.trials,
                pruning=self.pruning,
                known=lambda: run.counters.reports,
            )
