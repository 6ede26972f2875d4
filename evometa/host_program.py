"""The program of a search whose problem is plain Python: worker processes judge, JAX asks and tells."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.host import Outcome, WorkerPool
from evometa.problem import Evaluation, HostProblem
from evometa.program import (
    GO_ON,
    MEASURED,
    STATISTICS,
    Rows,
    SearchState,
    absorb,
    best_of,
    generation_keys,
    initial_state,
    root_keys,
    rows_of,
    sign_of,
    stop_code,
    validation_columns,
)
from evometa.space import Space
from evometa.strategy import Strategy
from evometa.types import Genotype

_GENERATION, _TRAIN, _TEST = 0, 1, 2  # what a generator of random numbers is for; part of its seed


class HostProgram:
    """The same program as the compiled one, a generation at a time.

    Args:
        problem: the problem.
        space: its space.
        strategy: the strategy.
        pool: the worker processes.
        seed: seed of everything.
        validate_every: generations from one validation to the next.
        finalists: candidates kept for the final selection.
        note: told, in words, of each new kind of failure.
    """

    def __init__(
        self,
        problem: HostProblem,
        space: Space,
        strategy: Strategy[Any],
        pool: WorkerPool,
        seed: int,
        *,
        validate_every: int,
        finalists: int,
        note: Callable[[str], None],
    ) -> None:
        self._problem, self._strategy, self._pool, self._seed = problem, strategy, pool, seed
        self._validate_every, self._note = validate_every, note
        self._sign = sign_of(problem)
        self.inner_steps = problem.inner_steps_per_evaluation
        self._seen: set[str] = set()
        self._start, self._root, _ = root_keys(seed)
        self._initial = jax.jit(lambda: initial_state(strategy, space, self._start, finalists))
        self._ask = jax.jit(strategy.ask)
        self._decode = jax.jit(jax.vmap(lambda genotype: space.decode(space.repair(genotype))))
        self._tell = jax.jit(self._told)
        self._stop = jax.jit(lambda state, target: stop_code(strategy, state, self._sign * target))
        self._center = jax.jit(strategy.center)
        groups = ("best", "center", "held_out") if problem.has_test() else ("best", "center")
        self.columns = (
            *STATISTICS,
            *MEASURED,
            *(
                f"strategy/{name}"
                for name in jax.eval_shape(strategy.diagnostics, jax.eval_shape(self._initial).strategy)
            ),
            *(f"{group}/{name}" for group in groups for name in problem.metric_names),
            *(("feasible",) if problem.vector_lengths.get("constraints") else ()),
        )

    def initial(self) -> SearchState:
        """Return the state before the first generation."""
        state: SearchState = self._initial()
        return state

    def advance(self, state: SearchState, first: int, count: int, target: float) -> tuple[SearchState, Rows, int]:
        """Run up to ``count`` generations."""
        judged: list[NDArray[Any]] = []
        values: list[list[float]] = []
        measured = self.columns[len(STATISTICS) :]
        code = int(self._stop(state, target))
        while code == GO_ON and len(values) < count:
            state, fitness, record = self._generation(state, first + len(values))
            judged.append(fitness)
            values.append([float(record.get(name, np.nan)) for name in measured])
            code = int(self._stop(state, target))
        dtype = np.dtype(state.best_fitness.dtype)
        fitness = np.array(judged, dtype).reshape(len(values), self._strategy.population_size)
        return state, rows_of(fitness, np.array(values, dtype).reshape(len(values), len(measured)), self._sign), code

    def judge_result(self, state: SearchState, genotype: Genotype) -> tuple[Evaluation, Evaluation | None]:
        """Judge one genotype once on each side."""
        omegas = self._unstack(jax.tree.map(lambda leaf: leaf[None], genotype))
        (train,) = self._judge(omegas, _TRAIN, 0)
        if not self._problem.has_test():
            return train, None
        (test,) = self._judge(omegas, _TEST, 0, test=True)
        return train, test

    def _generation(self, state: SearchState, number: int) -> tuple[SearchState, NDArray[Any], dict[str, Any]]:
        key_ask, _, key_tell = generation_keys(self._root, number)
        genotypes, asked = self._ask(key_ask, state.strategy)
        round_ = self._strategy.round(state.strategy)
        judged = self._judge(self._unstack(genotypes), _GENERATION, number if round_ is None else int(round_))
        vectors = {
            name: np.array([getattr(one, name) for one in judged]).reshape(len(judged), length)
            for name, length in self._problem.vector_lengths.items()
        }
        fitness: Any = np.array([one.fitness for one in judged], np.dtype(state.best_fitness.dtype))
        known = Evaluation(fitness, {}, **vectors)
        state, fitness, winner, record = self._tell(key_tell, state._replace(strategy=asked), genotypes, known)
        record |= {f"best/{name}": value for name, value in judged[int(winner)].metrics.items()}
        if "constraints" in vectors:
            record["feasible"] = np.mean(np.all(vectors["constraints"] <= 0, axis=1))
        if number % self._validate_every == 0:
            center = self._center(state.strategy)
            record |= validation_columns(*self.judge_result(state, state.best_genotype if center is None else center))
        return state, np.asarray(fitness), record

    def _told(self, key: Any, state: SearchState, genotypes: Genotype, judged: Evaluation) -> Any:
        state, fitness, winner = absorb(self._strategy, self._sign, key, state, genotypes, judged)
        own = self._strategy.diagnostics(state.strategy)
        record = {"best_so_far": best_of(state, self._sign)}
        return state, fitness, winner, record | {f"strategy/{name}": value for name, value in own.items()}

    def _unstack(self, genotypes: Genotype) -> list[Any]:
        omegas = jax.device_get(self._decode(genotypes))
        leaves, tree = jax.tree.flatten(omegas)
        return [jax.tree.unflatten(tree, [leaf[i] for leaf in leaves]) for i in range(len(leaves[0]))]

    def _judge(self, omegas: list[Any], purpose: int, number: int, *, test: bool = False) -> list[Evaluation]:
        outcomes = self._pool.evaluate(omegas, (self._seed, purpose, number), test=test)
        return [self._evaluation(outcome) for outcome in outcomes]

    def _evaluation(self, outcome: Outcome) -> Evaluation:
        if outcome.failure and outcome.failure not in self._seen:
            self._seen.add(outcome.failure)
            self._note(f"A candidate failed and is ranked last: {outcome.failure}")
        metrics = {name: jnp.asarray(value) for name, value in outcome.metrics.items()}
        vectors = {
            name: np.array(outcome.vectors.get(name, [np.nan] * length))
            for name, length in self._problem.vector_lengths.items()
        }
        return Evaluation(jnp.asarray(outcome.fitness), metrics, **vectors)
