"""The compiled program of a search: many generations in one dispatch.

One generation draws tasks, asks the strategy, judges the population, tells the strategy, and leaves one record. A
dispatch is a ``while_loop`` over generations whose number is an argument, so one compilation serves dispatches of any
length; it ends early when the target is reached or the strategy stops. Keys are folded from (seed, generation), so
where a dispatch begins or ends changes nothing.
"""

import functools
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding
from numpy.typing import NDArray

from evometa.evaluation import MEMBERS, Evaluator
from evometa.planning import check_memory
from evometa.problem import BaseProblem, Evaluation
from evometa.strategy import Strategy
from evometa.types import Genotype, Key, Scalar

MOST_GENERATIONS = 4096
"""The longest dispatch, in generations: rows of the record that the program returns."""

GO_ON, TARGET_REACHED, FIRST_STRATEGY_STOP = 0, 1, 2

STATISTICS = ("best", "lower_quartile", "median", "upper_quartile", "best_so_far", "center", "held_out")


class SearchState(NamedTuple):
    """Everything a search carries from one generation to the next; what a checkpoint stores."""

    strategy: Any
    """The strategy's state."""
    best_genotype: Genotype
    """The genotype of the best fitness so far, as asked."""
    best_fitness: Scalar
    """The best fitness so far, to be minimised; +inf before there is one."""
    learners: Any = ()
    """Learners carried from one generation to the next by strategies that unroll in pieces."""


class Rows(NamedTuple):
    """The records of consecutive generations."""

    failed: NDArray[np.int64]
    """Failed candidates of each generation, ``[N]``."""
    values: NDArray[Any]
    """The program's columns, ``[N, F]``."""


class Program(Protocol):
    """What the search drives, compiled or not."""

    columns: tuple[str, ...]

    def initial(self) -> SearchState:
        """Return the state before the first generation."""

    def advance(self, state: SearchState, first: int, count: int, target: float) -> tuple[SearchState, Rows, int]:
        """Run up to ``count`` generations, the first of them number ``first`` (counted from 1).

        Returns:
            The state, one row for each generation done, and a stop code (``GO_ON``, ``TARGET_REACHED``, or
            ``FIRST_STRATEGY_STOP`` + the index of the strategy's reason).
        """

    def judge_result(self, state: SearchState, genotype: Genotype) -> tuple[Evaluation, Evaluation | None]:
        """Judge one genotype as validation does: on training tasks, and on held-out ones where there are any."""


def sign_of(problem: BaseProblem) -> float:
    """Return what turns the problem's fitness into one to minimise, and back."""
    return -1.0 if problem.direction == "maximize" else 1.0


def stop_code(strategy: Strategy[Any], state: SearchState, target: Scalar) -> Scalar:
    """Return why to stop, as :meth:`Program.advance` does."""
    own = strategy.stop(state.strategy)
    own = jnp.where(own > 0, own + FIRST_STRATEGY_STOP - 1, GO_ON)
    return jnp.where(state.best_fitness <= target, TARGET_REACHED, own).astype(jnp.int32)


def absorb(
    strategy: Strategy[Any], sign: float, key: Key, state: SearchState, genotypes: Genotype, fitness: jax.Array
) -> tuple[SearchState, dict[str, Scalar], Scalar]:
    """Tell the strategy the fitness of a population and update the best so far.

    The one place where the non-finite rule is kept: a candidate whose fitness is not finite failed, is told as +inf,
    and a generation in which all failed is not told.

    Args:
        strategy: the strategy.
        sign: what turns the fitness into one to minimise.
        key: the strategy's key.
        state: the state after ``ask``.
        genotypes: the population ``[P, ...]``.
        fitness: ``[P]``, as the problem gave it.

    Returns:
        The state, the generation's statistics in the problem's own direction, and the number of failed candidates.
    """
    fitness = sign * fitness
    finite = jnp.isfinite(fitness)
    loss = jnp.where(finite, fitness, jnp.inf)
    count = jnp.sum(finite)
    told = jax.lax.cond(
        count > 0,
        lambda: strategy.tell(key, state.strategy, genotypes, loss),
        lambda: state.strategy,
    )
    winner = jnp.argmin(loss)
    better = loss[winner] < state.best_fitness
    state = state._replace(
        strategy=told,
        best_genotype=jax.tree.map(lambda new, old: jnp.where(better, new[winner], old), genotypes, state.best_genotype),
        best_fitness=jnp.where(better, loss[winner], state.best_fitness),
    )
    ordered = jnp.sort(loss)

    def quantile(fraction: float) -> Scalar:
        value = ordered[jnp.maximum(jnp.round(fraction * (count - 1)), 0).astype(jnp.int32)]
        return jnp.where(count > 0, sign * value, jnp.nan)

    low, high = (0.25, 0.75) if sign > 0 else (0.75, 0.25)
    statistics = {
        "best": quantile(0.0),
        "lower_quartile": quantile(low),
        "median": quantile(0.5),
        "upper_quartile": quantile(high),
        "best_so_far": sign * state.best_fitness,
    }
    return state, statistics, loss.shape[0] - count


def generation_keys(root: Key, generation: int | Scalar) -> tuple[Key, Key, Key]:
    """Return the keys of a generation for asking, judging and telling."""
    keys = jax.random.split(jax.random.fold_in(root, generation), 3)
    return keys[0], keys[1], keys[2]


def root_keys(seed: int) -> tuple[Key, Key, Key]:
    """Return the keys that everything follows from: for the start, the generations, and validation."""
    keys = jax.random.split(jax.random.key(seed), 3)
    return keys[0], keys[1], keys[2]


def initial_state(strategy: Strategy[Any], evaluator_space: Any, key: Key) -> SearchState:
    """Return the state of a search before its first generation."""
    state = strategy.init(key, evaluator_space)
    genotype = evaluator_space.start(key)
    dtype = jnp.result_type(float)
    return SearchState(state, genotype, jnp.asarray(jnp.inf, dtype))


class CompiledProgram:
    """The program of a search whose problem is a JAX function.

    Args:
        evaluator: judges populations.
        strategy: the strategy.
        seed: seed of everything.
        validate_every: generations from one validation to the next.
        validation_tasks: tasks of each kind a validation uses.
        memory_budget: bytes that the program may need.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        strategy: Strategy[Any],
        seed: int,
        *,
        validate_every: int,
        validation_tasks: int,
        memory_budget: int,
    ) -> None:
        self.evaluator, self.strategy = evaluator, strategy
        self._start, self._root, self._validation = root_keys(seed)
        self._validate_every, self._validation_tasks = validate_every, validation_tasks
        self._sign = sign_of(evaluator.problem)
        self._sharding = _replicated(evaluator.devices)
        self._initial = jax.jit(
            lambda: initial_state(strategy, evaluator.space, self._start), out_shardings=self._sharding
        )
        shapes = jax.eval_shape(self._initial)
        records = jax.eval_shape(self._generation, shapes, jax.ShapeDtypeStruct((), jnp.int32))[1]
        own = sorted(name for name in records if name not in (*STATISTICS, "failed"))
        self.columns = (*STATISTICS, *own)
        number = jax.ShapeDtypeStruct((), jnp.int32)
        target = jax.ShapeDtypeStruct((), shapes.best_fitness.dtype)
        self._dispatch = (
            jax.jit(
                self._many,
                donate_argnums=0,
                in_shardings=self._sharding,
                out_shardings=self._sharding,
            )
            .lower(shapes, number, number, target)
            .compile()
        )
        check_memory(self._dispatch, memory_budget)
        self._judge = jax.jit(self._validate)

    def initial(self) -> SearchState:
        """Return the state before the first generation."""
        return self._initial()

    def advance(self, state: SearchState, first: int, count: int, target: float) -> tuple[SearchState, Rows, int]:
        """Run up to ``count`` generations in one dispatch."""
        state = jax.device_put(state, self._sharding)
        dtype = state.best_fitness.dtype
        state, done, code, failed, values = self._dispatch(
            state, np.int32(first), np.int32(min(count, MOST_GENERATIONS)), np.asarray(self._sign * target, dtype)
        )
        rows = int(done)
        return state, Rows(np.asarray(failed)[:rows].astype(np.int64), np.asarray(values)[:rows]), int(code)

    def judge_result(self, state: SearchState, genotype: Genotype) -> tuple[Evaluation, Evaluation | None]:
        """Judge one genotype on the validation tasks of both kinds."""
        found: tuple[Evaluation, Evaluation | None] = jax.device_get(self._judge(genotype))
        return found

    def _validate(self, genotype: Genotype) -> tuple[Evaluation, Evaluation | None]:
        key_train, key_test = jax.random.split(self._validation)
        judge = functools.partial(self.evaluator.validate, genotype=genotype, count=self._validation_tasks)
        train = judge(key_train, test=False)
        return train, judge(key_test, test=True) if self.evaluator.problem.has_test() else None

    def _generation(self, state: SearchState, number: Scalar) -> tuple[SearchState, dict[str, Scalar]]:
        key_ask, key_judge, key_tell = generation_keys(self._root, number)
        genotypes, asked = self.strategy.ask(key_ask, state.strategy)
        fitness, metrics = self.evaluator.population(key_judge, genotypes)
        state, statistics, failed = absorb(
            self.strategy, self._sign, key_tell, state._replace(strategy=asked), genotypes, fitness
        )
        winner = jnp.argmin(jnp.where(jnp.isfinite(fitness), self._sign * fitness, jnp.inf))
        record = statistics | self._validation_record(state, number)
        record |= {f"strategy/{k}": v for k, v in self.strategy.diagnostics(state.strategy).items()}
        record |= {f"best/{k}": v[winner] for k, v in metrics.items()}
        return state, record | {"failed": failed}

    def _validation_record(self, state: SearchState, number: Scalar) -> dict[str, Scalar]:
        center = self.strategy.center(state.strategy)
        genotype = state.best_genotype if center is None else center

        def measure() -> dict[str, Scalar]:
            train, test = self._validate(genotype)
            return validation_columns(train, test)

        nothing = jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), jax.eval_shape(measure))
        return jax.lax.cond(number % self._validate_every == 0, measure, lambda: nothing)

    def _many(
        self, state: SearchState, first: Scalar, count: Scalar, target: Scalar
    ) -> tuple[SearchState, Scalar, Scalar, jax.Array, jax.Array]:
        dtype = state.best_fitness.dtype
        failed = jnp.zeros((MOST_GENERATIONS,), jnp.int32)
        values = jnp.zeros((MOST_GENERATIONS, len(self.columns)), dtype)

        def unfinished(carry: Any) -> Scalar:
            return (carry[1] < count) & (carry[2] == GO_ON)

        def one(carry: Any) -> Any:
            state, done, _, failed, values = carry
            state, record = self._generation(state, first + done)
            row = jnp.stack([record[name].astype(dtype) for name in self.columns])
            failed = failed.at[done].set(record["failed"].astype(jnp.int32))
            return state, done + 1, stop_code(self.strategy, state, target), failed, values.at[done].set(row)

        carry = (state, jnp.int32(0), stop_code(self.strategy, state, target), failed, values)
        return jax.lax.while_loop(unfinished, one, carry)  # type: ignore[no-any-return]


def validation_columns(train: Evaluation, test: Evaluation | None) -> dict[str, Scalar]:
    """Name the numbers of a validation as the history does."""
    columns = {"center": train.fitness, "held_out": jnp.full_like(train.fitness, jnp.nan)}
    columns |= {f"center/{name}": value for name, value in train.metrics.items()}
    if test is not None:
        columns["held_out"] = test.fitness
        columns |= {f"held_out/{name}": value for name, value in test.metrics.items()}
    return columns


def _replicated(devices: tuple[jax.Device, ...]) -> Any:
    if len(devices) == 1:
        return SingleDeviceSharding(devices[0])
    mesh = jax.make_mesh((len(devices),), (MEMBERS,), axis_types=(AxisType.Auto,), devices=devices)
    return NamedSharding(mesh, PartitionSpec())
