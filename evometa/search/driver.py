"""The driver of a search: generation after generation, a dispatch of several at a time.

One generation asks the strategy, evaluates the population, tells the strategy, and leaves one record; every so often
it ends with a validation. That is written here, once. What differs is where a population is evaluated:

:class:`~evometa.search.compiled_driver.CompiledDriver`
    by a population evaluator, inside one compiled program that runs many generations in a dispatch;
:class:`~evometa.search.stepped_driver.SteppedDriver`
    by an executor, which runs one call of plain Python for each candidate; JAX asks and tells.
"""

import abc
import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.backend.precision import compiled, precision
from evometa.backend.static_leaves import packing, unpack
from evometa.evaluation.population_evaluator import Evaluated
from evometa.feasibility import ranked, worst_feasible
from evometa.problem import VECTORS, BaseProblem, Evaluation, InnerTraining, sign_of
from evometa.search.budget import Cost, Prices
from evometa.search.generation import (
    RootKeys,
    SearchState,
    first_center,
    generation_keys,
    root_keys,
    tell,
)
from evometa.spaces import Space
from evometa.storage.failures import Failure
from evometa.storage.trials import Row, omega_cells
from evometa.strategy import Strategy
from evometa.types import Genotype, Key, Omega, Scalar


class Rows(NamedTuple):
    """The records of N consecutive generations."""

    failed: NDArray[np.int64]
    """Failed candidates of each generation, ``[N]``."""
    values: NDArray[Any]
    """The driver's columns, ``[N, F]``: ``STATISTICS``, ``MEASURED``, then its own."""
    evaluations: NDArray[np.int64]
    """Evaluations that each generation took, ``[N]``."""
    inner_steps: NDArray[np.int64]
    """Learner updates in them, ``[N]``."""
    validation_tasks: NDArray[np.int64]
    """Tasks that the validation after each generation took, ``[N]``; 0 where there was none."""
    trials: tuple[Row, ...] = ()
    """What the table of trials is told of each candidate, where there is such a table."""


Dispatch = Callable[[], tuple[SearchState, Rows, int]]
"""Waits for the generations of a dispatch; returns what :meth:`Driver.advance` does."""


class Candidates(NamedTuple):
    """The candidates of a generation, leaves ``[P, ...]``."""

    genotypes: Genotype
    evaluation: Evaluation
    stopped_at: Any = None
    """As :attr:`Evaluated.stopped_at`."""


class ValidationSettings(NamedTuple):
    """How a search validates."""

    every: int
    """Generations from one validation to the next."""
    tasks: int
    """Tasks of each kind that a validation averages, at most."""
    finalists: int
    """Candidates kept for the final selection besides the center and the best."""
    share: float
    """What validations and final selections together may cost, as a share of the search's own cost."""


class Driver(abc.ABC):
    """Runs generations of a search.

    Args:
        problem: the problem.
        space: its space.
        strategy: the strategy.
        seed: seed of everything.
        validation: how to validate.
        inner_steps: learner updates of one generation.
        double: compute in double precision, whatever JAX's switch.
    """

    columns: tuple[str, ...]
    """Columns of the history that it fills, beside the counts."""
    failures: Mapping[str, Failure] = MappingProxyType({})
    """Of what candidates failed, kind by kind, where the problem is one in plain Python."""
    lost: Exception | None = None
    """Why calls of a plain-Python problem cannot be made any more, where that is so."""
    trial_columns: tuple[str, ...] = ()
    """Columns of the table of trials; empty where there is none."""

    def __init__(
        self,
        problem: BaseProblem,
        space: Space,
        strategy: Strategy[Any],
        seed: int,
        validation: ValidationSettings,
        inner_steps: int,
        *,
        double: bool = False,
    ) -> None:
        self.problem, self.space, self.strategy = problem, space, strategy
        self.keys: RootKeys = root_keys(seed)
        population = strategy.population_size
        self.prices = Prices(
            generation=Cost(population, inner_steps),
            tasks_per_evaluation=problem.num_tasks or 1,
            inner_steps_per_task=problem.inner_steps if isinstance(problem, InnerTraining) else 0,
            validation_tasks=validation.tasks,
            kinds=2 if problem.has_test() else 1,
            validate_every=validation.every,
            finalists=validation.finalists,
            share=validation.share,
        )
        self.sign = sign_of(problem)
        # Of this driver alone, so that the compiled programs go when it goes.
        self._compiled = functools.partial(compiled, double=double)
        decode = packing(lambda genotype: space.decode(space.repair(genotype)))
        self._decode, self._decode_all = self._compiled(decode), self._compiled(jax.vmap(decode))
        self.precision = functools.partial(precision, double=double)
        """The context in which what concerns the state is computed."""
        self.finalists = validation.finalists

    def decode(self, genotype: Genotype) -> Omega:
        """Return the ω that a genotype stands for."""
        return unpack(self._decode(jax.device_get(genotype)))  # one program, wherever it comes from

    def decode_all(self, genotypes: Genotype) -> Omega:
        """Return the ω of several genotypes, packed, leaves ``[N, ...]``."""
        return self._decode_all(genotypes)

    def omegas(self, genotypes: Genotype) -> list[Any]:
        """Return the ω of several genotypes ``[N, ...]`` as a list; leaves are numpy arrays and scalars."""
        leaves, tree = jax.tree.flatten(jax.device_get(self.decode_all(genotypes)))
        return [unpack(jax.tree.unflatten(tree, [leaf[i] for leaf in leaves])) for i in range(len(leaves[0]))]

    @abc.abstractmethod
    def initial(self, first: int = 0) -> SearchState:
        """Return the state before the first generation; with several starts, at the one of an index."""

    def carried_by(self, strategy: Strategy[Any]) -> Any:
        """Return what the evaluation of a strategy's populations carries into the first generation."""
        return ()

    def restored(self, state: SearchState) -> SearchState:
        """Return the state of a checkpoint, numpy arrays, as this driver holds it."""
        return state

    @abc.abstractmethod
    def advance(
        self, state: SearchState, first: int, count: int, target: float, left: float = math.inf
    ) -> tuple[SearchState, Rows, int]:
        """Run up to ``count`` generations in one dispatch; the state given is left as it is.

        Args:
            state: the state before them.
            first: number of the first, counted from 1.
            count: how many at most; fewer where the target is reached or the strategy stops.
            target: the fitness to reach, in the problem's own direction.
            left: how many generations the limits leave room for, for drivers whose candidates may be on their way to
                later generations when the dispatch ends.

        Returns:
            The state, one row for each generation done, and a stop code (:mod:`evometa.search.generation`).
        """

    def launch(self, state: SearchState, first: int, count: int, target: float, left: float = math.inf) -> "Dispatch":
        """Begin what :meth:`advance` does, and return what waits for it and returns the same.

        A compiled program has begun by then, so the dispatches of several searches on devices of their own can overlap;
        plain Python begins when it is waited for.
        """
        return functools.partial(self.advance, state, first, count, target, left)

    def finish(self) -> None:
        """Give up what is on its way beyond the last dispatch; called when a search stops."""
        return

    def with_newest(self, state: SearchState) -> SearchState:
        """Return a state whose best so far may also be a candidate that no generation contains yet; for the result."""
        return state

    @abc.abstractmethod
    def validate(self, genotype: Genotype, tasks: int, *, test: bool) -> Evaluation:
        """Evaluate one genotype on the first tasks of a validation of either kind; numbers, means over tasks."""

    def why_failing(self, state: SearchState) -> str:
        """Return in words why all candidates of the newest generations failed, as far as that is known."""
        start = "the best so far" if np.isfinite(state.best_fitness) else "the space's start"
        who = start if self.strategy.center(state.strategy) is None else "the strategy's center"
        evaluation = self.validate(self.center(state), self.prices.tasks_per_evaluation, test=False)
        parts = {name: getattr(evaluation, name) for name in ("fitness", *VECTORS)}
        for name, value in parts.items():
            if value is not None and not np.isfinite(value).all():
                return f"{who} has {name} {np.asarray(value).tolist()}"
        return f"{who} has a fitness of {float(evaluation.fitness):g}, and nothing else that was tried a finite one"

    @abc.abstractmethod
    def noisy(self, state: SearchState) -> bool:
        """Return whether evaluating the same ω again may give another fitness, as far as that is known."""

    # One generation. The compiled driver traces it, the stepped one runs it with compiled parts.

    def _generation(
        self, state: SearchState, keys: Key, number: int | Scalar, root: RootKeys
    ) -> tuple[SearchState, jax.Array, dict[str, Any], Candidates]:
        """Ask, evaluate and tell; return the state, the fitness ``[P]``, the record and what was evaluated.

        Args:
            state: the state before the generation.
            keys: ``[3]``, for asking, evaluating and telling.
            number: the number of the generation.
            root: the keys of the search.
        """
        key = keys[1]
        round_ = self._round(state.strategy)
        if round_ is not None:  # the generations of one round share their tasks
            number, key = round_, generation_keys(root.generations, round_)[1]
        state, genotypes = self._ask(keys[0], state)
        state, genotypes, evaluated = self._evaluate(state, genotypes, key, number, root)
        state, fitness, record = self._tell(keys[2], state, genotypes, evaluated)
        return state, fitness, record, Candidates(genotypes, evaluated.evaluation, evaluated.stopped_at)

    def _round(self, state: Any) -> Scalar | None:
        """Return the round that a strategy is in, or None where it has none."""
        return self.strategy.round(state)

    @abc.abstractmethod
    def _ask(self, key: Key, state: SearchState) -> tuple[SearchState, Genotype]:
        """Return the state after asking and the population ``[P, ...]``."""

    @abc.abstractmethod
    def _evaluate(
        self, state: SearchState, genotypes: Genotype, key: Key, number: Any, root: RootKeys
    ) -> tuple[SearchState, Genotype, Evaluated]:
        """Evaluate the population on the tasks that a key and the number of a generation (or round) decide."""

    def _tell(
        self, key: Key, state: SearchState, genotypes: Genotype, evaluated: Evaluated
    ) -> tuple[SearchState, jax.Array, dict[str, Any]]:
        return tell(self.strategy, self.sign, key, state, genotypes, evaluated)

    def _trial(
        self, generation: int, member: int, omega: Omega, evaluation: Evaluation, stopped_at: int = 0
    ) -> dict[str, Any]:
        """Return the cells of a candidate in the table of trials.

        Args:
            generation: the number of the generation.
            member: the candidate's place in it.
            omega: its ω, on the host.
            evaluation: what the problem returned, on the host.
            stopped_at: the inner step after which it was stopped, 0 where it was not.
        """
        vectors = {
            f"{name}[{place}]": float(value)
            for name in VECTORS
            for place, value in enumerate(np.ravel(np.asarray(getattr(evaluation, name), float)))
            if getattr(evaluation, name) is not None
        }
        return {
            "generation": generation,
            "member": member,
            "fitness": float(evaluation.fitness),
            "failure": "" if np.isfinite(evaluation.fitness) else "non-finite fitness",
            "stopped_at": stopped_at or None,
            **{name: float(value) for name, value in evaluation.metrics.items()},
            **vectors,
            **omega_cells(self.space.readable(omega)),
        }

    # What is best.

    def best_feasible(self, state: SearchState) -> bool | None:
        """Return whether the best so far keeps the constraints, None for problems without any."""
        if "feasible" not in self.columns:
            return None
        return bool(state.best_fitness <= worst_feasible(state.best_fitness.dtype))

    def best_fitness(self, state: SearchState) -> float:
        """Return the best fitness so far in the problem's own direction, NaN before there is a feasible one."""
        best = float(state.best_fitness)
        return self.sign * best if np.isfinite(best) and self.best_feasible(state) is not False else float("nan")

    def loss(self, genotype: Genotype, tasks: int) -> float:
        """Return the fitness of one genotype on tasks, as strategies are told it: to be minimised, feasible ones first.

        It is +inf where the candidate failed.
        """
        with self.precision():
            return self.loss_of(self.validate(jax.tree.map(jnp.asarray, genotype), tasks, test=False))

    def loss_of(self, found: Evaluation) -> float:
        """Return the fitness of an evaluation, likewise."""
        with self.precision():
            fitness: Any = self.sign * np.asarray(found.fitness)
            if found.constraints is not None:
                limits = jnp.asarray(found.constraints)
                fitness = jnp.where(
                    jnp.isfinite(limits).all(), ranked(jnp.asarray(fitness)[None], limits[None])[0], jnp.inf
                )
            return float(fitness) if np.isfinite(fitness) else np.inf

    # Validation.

    def validates(self, number: Any) -> Any:
        """Return whether a generation ends with a validation; bool."""
        return (number % self.prices.validate_every == 0) & (self.prices.tasks_in_validation > 0)

    def center(self, state: SearchState) -> Genotype:
        """Return the strategy's center, or the best so far where it has none."""
        center = self.strategy.center(state.strategy)
        return state.best_genotype if center is None else center

    def first_center(self, first: int = 0) -> Genotype:
        """Return the center before the first generation; with several starts, at the one of an index."""
        with self.precision():
            center = functools.partial(first_center, self.strategy, self.space)
            found: Genotype = jax.device_get(jax.jit(center)(self.keys.start, np.int32(first)))
        return found

    def _rows(self, first: int, fitness: NDArray[Any], values: NDArray[Any]) -> Rows:
        """Return records from the fitness ``[N, P]`` of each generation and the columns ``[N, F - 4]`` that follow.

        Order statistics are of the candidates that did not fail, at the nearest rank; NaN where all did. They are taken
        here rather than in a compiled program because numpy sorts many short rows ten times faster than XLA.
        """
        sign, count = self.sign, len(fitness)
        loss = np.where(np.isfinite(fitness), sign * fitness, np.inf)
        loss.sort(axis=1)
        sound = np.isfinite(loss).sum(axis=1)
        low, high = (0.25, 0.75) if sign > 0 else (0.75, 0.25)
        ranks = np.round(np.multiply.outer(np.maximum(sound - 1, 0), [0.0, low, 0.5, high])).astype(np.int64)
        statistics = np.where(sound[:, None] > 0, sign * np.take_along_axis(loss, ranks, axis=1), np.nan)
        each = self.prices.generation
        every = self.prices.validate_every
        validation_tasks = np.zeros(count, np.int64)
        validation_tasks[-first % every :: every] = self.prices.kinds * self.prices.tasks_in_validation
        return Rows(
            failed=fitness.shape[1] - sound,
            values=np.concatenate([statistics.astype(values.dtype), values], axis=1),
            evaluations=np.full(count, each.evaluations, np.int64),
            inner_steps=np.full(count, each.inner_steps, np.int64),
            validation_tasks=validation_tasks,
        )


def as_numbers(evaluation: Evaluation) -> Evaluation:
    """Return an evaluation on the host, as numpy arrays."""
    found: Evaluation = jax.device_get(jax.tree.map(jnp.asarray, evaluation))
    return found
