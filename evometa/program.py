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
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding
from numpy.typing import NDArray

from evometa.evaluation import Evaluator, mesh_of, on_every_device
from evometa.finalists import Finalists, enter, no_finalists
from evometa.kernels import running_on
from evometa.planning import check_memory
from evometa.problem import VECTORS, BaseProblem, Evaluation
from evometa.space import Space
from evometa.strategy import Feedback, Strategy
from evometa.types import Genotype, Key, Scalar

MOST_GENERATIONS = 4096
"""The longest dispatch, in generations: rows of the record that the program returns."""

GO_ON, TARGET_REACHED, FIRST_STRATEGY_STOP = 0, 1, 2

LEAST_NUMBERS_TO_SPREAD = 2**18
"""Numbers in a population from which on drawing it is spread over devices; below, each device draws it all."""

STATISTICS = ("best", "lower_quartile", "median", "upper_quartile")
"""Columns that the fitness of a generation gives."""

MEASURED = ("best_so_far", "center", "held_out")
"""Columns that every program measures besides."""


class SearchState(NamedTuple):
    """Everything a search carries from one generation to the next; what a checkpoint stores."""

    strategy: Any
    """The strategy's state."""
    best_genotype: Genotype
    """The genotype of the best fitness so far, as asked."""
    best_fitness: Scalar
    """The best fitness so far, to be minimised; +inf before there is one."""
    carried: Any = ()
    """What the strategy's way of judging carries between generations, such as learners in mid-training."""
    finalists: Finalists | tuple[()] = ()
    """Candidates kept for the final selection, none where there will be no such thing."""


class Rows(NamedTuple):
    """The records of consecutive generations."""

    failed: NDArray[np.int64]
    """Failed candidates of each generation, ``[N]``."""
    values: NDArray[Any]
    """The program's columns, ``[N, F]``: ``STATISTICS``, ``MEASURED``, then its own."""


def rows_of(fitness: NDArray[Any], values: NDArray[Any], sign: float) -> Rows:
    """Return records from the fitness ``[N, P]`` of each generation, and the columns ``[N, F - 4]`` that follow.

    Order statistics are of the candidates that did not fail, at the nearest rank; NaN where all did. They are taken
    here rather than in the compiled program because numpy sorts many short rows ten times faster than XLA.
    """
    loss = np.where(np.isfinite(fitness), sign * fitness, np.inf)
    loss.sort(axis=1)
    count = np.isfinite(loss).sum(axis=1)
    low, high = (0.25, 0.75) if sign > 0 else (0.75, 0.25)
    ranks = np.round(np.multiply.outer(np.maximum(count - 1, 0), [0.0, low, 0.5, high])).astype(np.int64)
    statistics = np.where(count[:, None] > 0, sign * np.take_along_axis(loss, ranks, axis=1), np.nan)
    return Rows(fitness.shape[1] - count, np.concatenate([statistics.astype(values.dtype), values], axis=1))


class Program(Protocol):
    """What the search drives, compiled or not."""

    columns: tuple[str, ...]
    inner_steps: int
    """Updates of learners that judging one candidate in one generation costs."""

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


def best_of(state: SearchState, sign: float) -> Scalar:
    """Return the best fitness so far in the problem's own direction, NaN before there is one."""
    return jnp.where(jnp.isfinite(state.best_fitness), sign * state.best_fitness, jnp.nan)


def stop_code(strategy: Strategy[Any], state: SearchState, target: Scalar) -> Scalar:
    """Return why to stop, as :meth:`Program.advance` does."""
    own = strategy.stop(state.strategy)
    own = jnp.where(own > 0, own + FIRST_STRATEGY_STOP - 1, GO_ON)
    return jnp.where(state.best_fitness <= target, TARGET_REACHED, own).astype(jnp.int32)


def absorb(
    strategy: Strategy[Any], sign: float, key: Key, state: SearchState, genotypes: Genotype, judged: Evaluation
) -> tuple[SearchState, jax.Array, Scalar]:
    """Tell the strategy what was judged of a population and update the best so far.

    The one place where the non-finite rule is kept: a candidate failed when its fitness, or anything else that it is
    judged by, is not finite. It is told as +inf, and a generation in which all failed is not told. A candidate that
    violates a constraint cannot be the best.

    Args:
        strategy: the strategy.
        sign: what turns the fitness into one to minimise.
        key: the strategy's key.
        state: the state after ``ask``.
        genotypes: the population ``[P, ...]``.
        judged: as the problem gave it, leading axis P.

    Returns:
        The state; the fitness ``[P]``, NaN for failed candidates; and which candidate was the best of the generation.
    """
    fitness = jnp.asarray(judged.fitness)
    sound = jnp.isfinite(fitness)
    for part in (getattr(judged, name) for name in VECTORS):
        if part is not None:
            sound &= jnp.all(jnp.isfinite(part), axis=1)
    loss = jnp.where(sound, sign * fitness, jnp.inf)
    feedback = _feedback(judged, loss, sound, sign)
    allowed = loss
    if feedback.constraints is not None:
        allowed = jnp.where(jnp.all(feedback.constraints <= 0, axis=1), loss, jnp.inf)
    winner = jnp.argmin(allowed)
    # A select, not a branch: it fuses with what computes the state, and a branch costs more than a light strategy.
    any_judged = jnp.any(loss < jnp.inf)
    told = jax.tree.map(
        lambda new, old: jnp.where(any_judged, new, old),
        strategy.tell(key, state.strategy, genotypes, feedback),
        state.strategy,
    )
    better = allowed[winner] < state.best_fitness
    genotype = jax.tree.map(lambda new, old: jnp.where(better, new[winner], old), genotypes, state.best_genotype)
    finalists = state.finalists
    if isinstance(finalists, Finalists):
        finalists = enter(finalists, jax.tree.map(lambda leaf: leaf[winner], genotypes), allowed[winner])
    best = jnp.minimum(allowed[winner], state.best_fitness)
    state = SearchState(told, genotype, best, state.carried, finalists)
    return state, jnp.where(sound, fitness, jnp.nan), winner


def _feedback(judged: Evaluation, loss: jax.Array, sound: jax.Array, sign: float) -> Feedback:
    """Return what a strategy is told: to be minimised, and without numbers that are none."""

    def clean(part: Any, factor: float, failed: float) -> Any:
        if part is None:
            return None
        return jax.tree.map(
            lambda leaf: jnp.where(sound.reshape(-1, *[1] * (leaf.ndim - 1)), factor * leaf, failed), part
        )

    return Feedback(
        loss,
        objectives=clean(judged.objectives, sign, jnp.inf),
        constraints=clean(judged.constraints, 1.0, jnp.inf),
        measures=clean(judged.measures, 1.0, 0.0),
        gradient=clean(judged.gradient, sign, 0.0),
    )


def generation_keys(root: Key, generation: int | Scalar) -> Key:
    """Return the keys ``[3]`` of a generation for asking, judging and telling."""
    return jax.random.split(jax.random.fold_in(root, generation), 3)


def root_keys(seed: int) -> tuple[Key, Key, Key]:
    """Return the keys that everything follows from: for the start, the generations, and validation."""
    keys = jax.random.split(jax.random.key(seed), 3)
    return keys[0], keys[1], keys[2]


def initial_state(strategy: Strategy[Any], space: Space, key: Key, finalists: int, carried: Any = ()) -> SearchState:
    """Return the state of a search before its first generation."""
    state = strategy.init(key, space)
    genotype = space.start(key)
    kept = no_finalists(genotype, finalists) if finalists else ()
    return SearchState(state, genotype, jnp.asarray(jnp.inf, jnp.result_type(float)), carried, kept)


class CompiledProgram:
    """The program of a search whose problem is a JAX function.

    Args:
        evaluator: judges populations.
        strategy: the strategy.
        seed: seed of everything.
        validate_every: generations from one validation to the next.
        validation_tasks: tasks of each kind a validation uses.
        finalists: candidates kept for the final selection.
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
        finalists: int,
        memory_budget: int,
    ) -> None:
        self.evaluator, self.strategy = evaluator, strategy
        self._start, self._root, self._validation = root_keys(seed)
        self._validate_every, self._validation_tasks = validate_every, validation_tasks
        self._sign = sign_of(evaluator.problem)
        self._sharding = _replicated(evaluator.devices)
        self._judging = strategy.judging(evaluator)
        self.inner_steps = self._judging.inner_steps_per_evaluation
        self._initial = jax.jit(
            lambda: initial_state(strategy, evaluator.space, self._start, finalists, self._judging.initial()),
            out_shardings=self._sharding,
        )
        shapes = jax.eval_shape(self._initial)
        _, self._fitness, record = jax.eval_shape(self._generation, shapes, jax.random.split(self._root, 3))
        record |= jax.eval_shape(self._validation_record, shapes)
        self._measured = (*MEASURED, *sorted(record.keys() - set(MEASURED)))
        self.columns = (*STATISTICS, *self._measured)
        # The longest dispatch that the buffers hold: long enough for any problem, and 16 MiB of float32 at most.
        self._most = max(1, min(MOST_GENERATIONS, 2**22 // self._fitness.shape[0]))
        number = jax.ShapeDtypeStruct((), jnp.int32)
        target = jax.ShapeDtypeStruct((), shapes.best_fitness.dtype)
        many = jax.jit(self._many, donate_argnums=0, in_shardings=self._sharding, out_shardings=self._sharding)
        with running_on(mesh_of(evaluator.devices)):
            self._dispatch = many.lower(shapes, number, number, target).compile()
        check_memory(self._dispatch, memory_budget)
        self._judge = jax.jit(self._validate)

    def initial(self) -> SearchState:
        """Return the state before the first generation."""
        state: SearchState = self._initial()
        return state

    def advance(self, state: SearchState, first: int, count: int, target: float) -> tuple[SearchState, Rows, int]:
        """Run up to ``count`` generations in one dispatch."""
        state = jax.device_put(state, self._sharding)
        dtype = state.best_fitness.dtype
        state, done, code, fitness, values = self._dispatch(
            state, np.int32(first), np.int32(min(count, self._most)), np.asarray(self._sign * target, dtype)
        )
        rows = int(done)
        return state, rows_of(np.asarray(fitness)[:rows], np.asarray(values)[:rows], self._sign), int(code)

    def judge_result(self, state: SearchState, genotype: Genotype) -> tuple[Evaluation, Evaluation | None]:
        """Judge one genotype on the validation tasks of both kinds."""
        found: tuple[Evaluation, Evaluation | None] = jax.device_get(self._judge(genotype))
        return found

    def _validate(self, genotype: Genotype) -> tuple[Evaluation, Evaluation | None]:
        key_train, key_test = jax.random.split(self._validation)
        judge = functools.partial(self.evaluator.validate, genotype=genotype, count=self._validation_tasks)
        train = judge(key_train, test=False)
        return train, judge(key_test, test=True) if self.evaluator.problem.has_test() else None

    def _generation(self, state: SearchState, keys: Key) -> tuple[SearchState, jax.Array, dict[str, Scalar]]:
        key_ask, key_judge, key_tell = keys
        round_ = self.strategy.round(state.strategy)
        if round_ is not None:
            key_judge = generation_keys(self._root, round_)[1]
        ready, carried = self._judging.prepare(state.strategy, state.carried)
        genotypes, asked = self.strategy.ask(key_ask, ready)
        devices = self.evaluator.devices
        if _numbers(genotypes) < LEAST_NUMBERS_TO_SPREAD:
            genotypes, asked = on_every_device((genotypes, asked), devices)
        search_key = generation_keys(self._root, 0)[1]  # generations count from 1
        judged, carried = self._judging.population(search_key, key_judge, carried, genotypes)
        genotypes, asked = on_every_device((genotypes, asked), devices)
        asked_state = state._replace(strategy=asked, carried=carried)
        state, fitness, winner = absorb(self.strategy, self._sign, key_tell, asked_state, genotypes, judged)
        record = {"best_so_far": best_of(state, self._sign)}
        record |= {f"strategy/{k}": v for k, v in self.strategy.diagnostics(state.strategy).items()}
        record |= {f"best/{k}": jnp.asarray(v)[winner] for k, v in judged.metrics.items()}
        if judged.constraints is not None:
            record["feasible"] = jnp.mean(jnp.all(jnp.asarray(judged.constraints) <= 0, axis=1))
        return state, fitness, record

    def _validation_record(self, state: SearchState) -> dict[str, Scalar]:
        center = self.strategy.center(state.strategy)
        return validation_columns(*self._validate(state.best_genotype if center is None else center))

    def _many(self, state: SearchState, first: Scalar, count: Scalar, target: Scalar) -> Any:
        """Run generations up to each validation in an inner loop, so that the hot loop has no branch for it."""
        dtype = state.best_fitness.dtype
        fitness = jnp.zeros((self._most, *self._fitness.shape), self._fitness.dtype)
        values = jnp.full((self._most, len(self._measured)), jnp.nan, dtype)
        columns = {name: i for i, name in enumerate(self._measured)}
        every = self._validate_every
        keys = jax.vmap(functools.partial(generation_keys, self._root))(first + jnp.arange(self._most))

        def write(values: jax.Array, at: Scalar, record: dict[str, Scalar]) -> jax.Array:
            where = np.array([columns[name] for name in record])
            return values.at[at, where].set(jnp.stack([value.astype(dtype) for value in record.values()]))

        def one(carry: Any) -> Any:
            state, done, _, fitness, values = carry
            state, found, record = self._generation(state, keys[done])
            code = stop_code(self.strategy, state, target)
            return state, done + 1, code, fitness.at[done].set(found), write(values, done, record)

        def until_validation(carry: Any) -> Any:
            end = jnp.minimum(count, carry[1] + every - (first + carry[1] - 1) % every)
            carry = jax.lax.while_loop(lambda carry: (carry[1] < end) & (carry[2] == GO_ON), one, carry)
            state, done, code, fitness, values = carry
            values = jax.lax.cond(
                (first + done - 1) % every == 0,
                lambda: write(values, done - 1, self._validation_record(state)),
                lambda: values,
            )
            return state, done, code, fitness, values

        def unfinished(carry: Any) -> Any:
            return (carry[1] < count) & (carry[2] == GO_ON)

        carry = (state, jnp.int32(0), stop_code(self.strategy, state, target), fitness, values)
        return jax.lax.while_loop(unfinished, until_validation, carry)


def validation_columns(train: Evaluation, test: Evaluation | None) -> dict[str, Scalar]:
    """Name the numbers of a validation as the history does."""
    columns = {"center": train.fitness} | {f"center/{name}": value for name, value in train.metrics.items()}
    columns["held_out"] = jnp.nan if test is None else test.fitness
    if test is not None:
        columns |= {f"held_out/{name}": value for name, value in test.metrics.items()}
    return {name: jnp.asarray(value) for name, value in columns.items()}


def _numbers(genotypes: Genotype) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(genotypes))


def _replicated(devices: tuple[jax.Device, ...]) -> Any:
    if len(devices) == 1:
        return SingleDeviceSharding(devices[0])
    return NamedSharding(mesh_of(devices), PartitionSpec())
