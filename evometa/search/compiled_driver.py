"""The driver of compiled problems: many generations in one program.

A dispatch is a ``while_loop`` over generations whose number is an argument, so one compilation serves dispatches of any
length; it ends early when the target is reached or the strategy stops. Keys are folded from (seed, generation), so
where a dispatch begins or ends changes nothing, and the seed is an argument too.
"""

import copy
import functools
import math
import operator
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding

from evometa.backend import ranks, slices
from evometa.backend.chunks import MEMBERS, mesh_of, on_every_device
from evometa.backend.kernels import running_on
from evometa.evaluation.compatibility import noisy
from evometa.evaluation.population_evaluator import Evaluated, PopulationEvaluator, evaluator_for
from evometa.problem import VECTORS, Evaluation
from evometa.search.decisions import MOST_GENERATIONS
from evometa.search.driver import Candidates, Dispatch, Driver, Rows, ValidationSettings, as_numbers
from evometa.search.generation import (
    CONTINUE,
    RootKeys,
    SearchState,
    generation_keys,
    initial_state,
    root_keys,
    stop_code,
    validation_columns,
)
from evometa.search.planning import check_memory
from evometa.storage.history import MEASURED, STATISTICS
from evometa.storage.trials import Row, trial_columns
from evometa.strategy import Redrawn, Strategy
from evometa.types import Genotype, Key, Scalar

LEAST_NUMBERS_TO_SPREAD = 2**18
"""Numbers in a population from which on drawing it is spread over devices; below, each device draws it all."""


class CompiledDriver(Driver):
    """Runs generations inside one compiled program.

    Args:
        evaluator: evaluates populations.
        strategy: the strategy.
        seed: seed of everything.
        validation: how to validate.
        memory_budget: bytes that the program may need.
        trials: whether there is a table of trials.

    Raises:
        ConfigurationError: the program needs more memory than the budget.
    """

    def __init__(
        self,
        evaluator: PopulationEvaluator,
        strategy: Strategy[Any],
        seed: int,
        validation: ValidationSettings,
        *,
        memory_budget: int,
        trials: bool = False,
    ) -> None:
        steps = evaluator.inner_steps_of(strategy.population_size)
        super().__init__(evaluator.problem, evaluator.space, strategy, seed, validation, steps)
        self.evaluator, self._has_trials = evaluator, trials
        self._sharding = _replicated(evaluator.devices)
        # (device_put takes no keys to the devices of other ranks)
        self._device_keys = jax.jit(lambda keys: keys, out_shardings=self._sharding)(self.keys)

        def begin(key: Key, first: Scalar) -> SearchState:
            return initial_state(strategy, evaluator.space, key, self.finalists, first, evaluator.initial())

        shapes = jax.eval_shape(begin, self.keys.start, np.int32(0))
        self._length = self._length_to_split(shapes.best_genotype)
        self._placed = self._placing(shapes)
        alone = self._is_split and SingleDeviceSharding(evaluator.devices[0])
        self._initial = jax.jit(begin, out_shardings=alone or self._sharding)
        # Both are traced once, for the shapes of what they return, and written out in the dispatch.
        self._one = jax.jit(self._generation, inline=True)
        self._record = jax.jit(self._validation, inline=True)
        self._draw = jax.jit(self._validation_tasks, static_argnames=("tasks", "test"), out_shardings=self._sharding)
        number = jax.ShapeDtypeStruct((), jnp.int32)
        with running_on(mesh_of(evaluator.devices)):
            keys = jax.eval_shape(generation_keys, self.keys.generations, number)
            _, self._fitness, record, tried = jax.eval_shape(self._one, shapes, keys, number, self.keys)
            drawn = jax.eval_shape(self._draw_both, self.keys.validation)
            record |= jax.eval_shape(self._record, shapes, drawn)
        self._measured = (*MEASURED, *sorted(record.keys() - set(MEASURED)))
        self.columns = (*STATISTICS, *self._measured)
        self._tried: Candidates | None = tried if trials else None
        if trials:
            found = {name: getattr(tried.evaluation, name) for name in VECTORS}
            lengths = {name: part.shape[1] for name, part in found.items() if part is not None}
            stops = tried.stopped_at is not None
            self.trial_columns = trial_columns(self.problem, self.space, tried.evaluation.metrics, lengths, stops=stops)
        # The longest dispatch that the buffers hold: long enough for any problem, and 16 MiB of float32 at most.
        self._most = max(1, min(MOST_GENERATIONS, 2**22 // _numbers((self._fitness, self._tried))))
        target = jax.ShapeDtypeStruct((), shapes.best_fitness.dtype)
        # The state is not donated: should a dispatch fail or be interrupted, the search continues from it.
        others = [self._sharding] * 5
        many = jax.jit(self._many, in_shardings=(self._placed, *others), out_shardings=(self._placed, *others))
        with running_on(mesh_of(evaluator.devices)):
            drawn = drawn if self.prices.tasks_in_validation else ()
            program = many.lower(shapes, drawn, self.keys, number, number, target).compile()
        check_memory(program, memory_budget)
        self._dispatch: Any = program
        self._begin: Callable[..., Callable[[], Any]] = functools.partial(_at_once, program)
        self._validate_on = jax.jit(evaluator.validate_on, static_argnames="test")

    def with_seed(self, seed: int) -> "CompiledDriver":
        """Return the same driver with another seed; the compiled programs serve both."""
        other = copy.copy(self)
        other.__dict__.pop("_drawn", None)
        other.keys = root_keys(seed)
        other._device_keys = jax.device_put(other.keys, self._sharding)
        return other

    def with_own_thread(self) -> "CompiledDriver":
        """Return the same driver, whose dispatches a CPU runs beside those of others.

        What one thread asks of a CPU device is done in turn, and what different threads ask of it at the same time.
        """
        other, program, thread = copy.copy(self), self._dispatch, ThreadPoolExecutor(1)
        other._begin = lambda *given: thread.submit(program, *given).result
        return other

    def initial(self, first: int = 0) -> SearchState:
        """Return the state before the first generation; with several starts, at the one of an index."""
        state: SearchState = jax.device_put(self._initial(self.keys.start, np.int32(first)), self._placed)
        return state

    def noisy(self, state: SearchState) -> bool:
        """Return whether evaluating the same ω again may give another fitness."""
        return self._noisy

    @functools.cached_property
    def _noisy(self) -> bool:
        return noisy(self.problem)

    def carried_by(self, strategy: Strategy[Any]) -> Any:
        """Return what the evaluation of a strategy's populations carries into the first generation."""
        return evaluator_for(strategy, self.evaluator.problem, self.space).initial()

    def restored(self, state: SearchState) -> SearchState:
        """Return the state of a checkpoint as arrays of JAX."""
        restored: SearchState
        restored = jax.device_put(state, self._placed) if self._is_split else jax.tree.map(jnp.asarray, state)
        return restored

    def advance(
        self, state: SearchState, first: int, count: int, target: float, left: float = math.inf
    ) -> tuple[SearchState, Rows, int]:
        """Run up to ``count`` generations in one dispatch."""
        return self.launch(state, first, count, target)()

    def launch(self, state: SearchState, first: int, count: int, target: float, left: float = math.inf) -> Dispatch:
        """Begin up to ``count`` generations in one dispatch."""
        state = jax.device_put(state, self._placed)
        goal = np.asarray(self.sign * target, state.best_fitness.dtype)
        number = np.int32(min(count, self._most))
        finish = self._begin(state, self._drawn, self._device_keys, np.int32(first), number, goal)

        def wait() -> tuple[SearchState, Rows, int]:
            state, done, code, fitness, values, tried = finish()
            rows = int(done)
            found = self._rows(first, np.asarray(fitness)[:rows], np.asarray(values)[:rows])
            return state, found._replace(trials=self._trials(first, rows, tried)), int(code)

        return wait

    def _trials(self, first: int, rows: int, tried: Candidates | None) -> tuple[Row, ...]:
        """Return what the table of trials is told of the candidates of a dispatch, leaves ``[N, P, ...]``."""
        if tried is None:
            return ()
        tried = jax.device_get(tried)
        told: list[Row] = []
        for row in range(rows):
            genotypes, evaluation, stopped_at = jax.tree.map(operator.itemgetter(row), tried)
            for member, omega in enumerate(self.omegas(genotypes)):
                own: Evaluation = jax.tree.map(operator.itemgetter(member), evaluation)
                stopped = 0 if stopped_at is None or not np.isfinite(own.fitness) else int(stopped_at[member])
                told.append(self._trial(first + row, member, omega, own, stopped))
        return tuple(told)

    def validate(self, genotype: Genotype, tasks: int, *, test: bool) -> Evaluation:
        """Evaluate one genotype on validation tasks.

        One program serves all genotypes, wherever they come from, and held-out tasks too if they are evaluated alike.
        """
        drawn = self._draw(self._device_keys.validation, tasks=tasks, test=test)
        genotype = jax.device_put(genotype, self._sharding)
        return as_numbers(self._validate_on(genotype, drawn, test=test and not self.evaluator.tasks.alike))

    def _validation_tasks(self, root: Key, tasks: int, *, test: bool) -> Any:
        return self.evaluator.tasks.sample(jax.random.split(root)[int(test)], tasks, test=test)

    @functools.cached_property
    def _drawn(self) -> tuple[Any, ...]:
        """The tasks of all validations, drawn once: by the programs that draw those of the final selection, too."""
        return self._draw_both(self._device_keys.validation) if self.prices.tasks_in_validation else ()

    def _draw_both(self, root: Key) -> tuple[Any, ...]:
        """Return the training tasks of a validation, and the held-out ones if the problem has such."""
        tasks = max(1, self.prices.tasks_in_validation)
        kinds = (False, True) if self.problem.has_test() else (False,)
        return tuple(self._draw(root, tasks=tasks, test=test) for test in kinds)

    def _validation(self, state: SearchState, drawn: tuple[Any, ...]) -> dict[str, Scalar]:
        center, train, *held_out = self.center(state), *drawn
        if not held_out:
            return validation_columns(self.evaluator.validate_on(center, train, test=False), None)
        return validation_columns(*self.evaluator.validate_both(center, train, held_out[0]))

    def _ask(self, key: Key, state: SearchState) -> tuple[SearchState, Genotype]:
        ready, carried = self.evaluator.prepare(state.strategy, state.carried)
        genotypes, asked = self.strategy.ask(key, ready)
        if self._redraws(genotypes):  # which leaves nothing of them in the program
            asked = self._settled(asked)
            return state._replace(strategy=asked, carried=carried), Redrawn(asked)
        if _numbers(genotypes) < LEAST_NUMBERS_TO_SPREAD:
            genotypes, asked = on_every_device((genotypes, asked), self.evaluator.devices)
        return state._replace(strategy=asked, carried=carried), genotypes

    def _redraws(self, genotypes: Genotype) -> bool:
        """Return whether candidates are drawn where they are evaluated, rather than once as a whole."""
        return self._may_redraw and _numbers(genotypes) >= LEAST_NUMBERS_TO_SPREAD

    @property
    def _may_redraw(self) -> bool:
        return self.strategy.redraws and self.evaluator.redraws and not self._has_trials

    def _length_to_split(self, genotype: Genotype) -> int | None:
        """Return D where each device holds a slice of what is as long as a genotype; None where it holds all."""
        leaves, devices = jax.tree.leaves(genotype), len(self.evaluator.devices)
        if not self._may_redraw or devices == 1 or len(leaves) != 1 or leaves[0].ndim != 1:
            return None
        length = len(leaves[0])
        return length if length >= max(slices.LEAST_LENGTH, slices.BLOCK * devices) else None

    @property
    def _is_split(self) -> bool:
        """Whether the state is split between dispatches too.

        JAX splits what a program takes and returns only where the number of devices divides its length; and what other
        ranks hold, this one could not write to a checkpoint.
        """
        return self._length is not None and self._length % len(self.evaluator.devices) == 0 and ranks.count() == 1

    def _placing(self, state: Any) -> Any:
        """Return where the arrays of a state are between dispatches."""
        return jax.tree.map(self._slices if self._is_split else lambda _: self._sharding, state)

    def _slices(self, leaf: Any) -> Any:
        if leaf.ndim == 0 or leaf.shape[-1] != self._length:
            return self._sharding
        return NamedSharding(mesh_of(self.evaluator.devices), PartitionSpec(*[None] * (leaf.ndim - 1), MEMBERS))

    def _settled(self, tree: Any) -> Any:
        """Give every device the whole of each array, or its slice of those as long as a genotype, computed by then."""
        if self._length is None:
            return on_every_device(tree, self.evaluator.devices)
        placed = jax.lax.with_sharding_constraint(tree, jax.tree.map(self._slices, tree))
        return jax.lax.optimization_barrier(placed)

    def _evaluate(
        self, state: SearchState, genotypes: Genotype, key: Key, number: Any, root: RootKeys
    ) -> tuple[SearchState, Genotype, Evaluated]:
        evaluated = self.evaluator.evaluate(root.episodes, key, state.carried, genotypes)
        genotypes, asked = self._settled((genotypes, state.strategy))
        return state._replace(strategy=asked, carried=evaluated.carried), genotypes, evaluated

    def _many(
        self, state: SearchState, drawn: tuple[Any, ...], root: RootKeys, first: Scalar, count: Scalar, target: Scalar
    ) -> Any:
        """Run generations up to each validation in an inner loop, so that the hot loop has no branch for it."""
        dtype = state.best_fitness.dtype
        fitness = jnp.zeros((self._most, *self._fitness.shape), self._fitness.dtype)
        values = jnp.full((self._most, len(self._measured)), jnp.nan, dtype)
        kept = jax.tree.map(lambda leaf: jnp.zeros((self._most, *leaf.shape), leaf.dtype), self._tried)
        columns = {name: i for i, name in enumerate(self._measured)}
        every = self.prices.validate_every
        keys = jax.vmap(functools.partial(generation_keys, root.generations))(first + jnp.arange(self._most))

        def write(values: jax.Array, at: Scalar, record: dict[str, Scalar]) -> jax.Array:
            where = np.array([columns[name] for name in record])
            return values.at[at, where].set(jnp.stack([jnp.asarray(value).astype(dtype) for value in record.values()]))

        def one(carry: Any) -> Any:
            state, done, _, fitness, values, kept = carry
            state, found, record, tried = self._one(state, keys[done], first + done, root)
            if self._length is not None:
                state = self._settled(state)
            code = stop_code(self.strategy, state, target)
            if kept is not None:
                kept = jax.tree.map(lambda rows, new: rows.at[done].set(new), kept, tried)
            return state, done + 1, code, fitness.at[done].set(found), write(values, done, record), kept

        def until_validation(carry: Any) -> Any:
            end = jnp.minimum(count, carry[1] + every - (first + carry[1] - 1) % every)
            carry = jax.lax.while_loop(lambda carry: (carry[1] < end) & (carry[2] == CONTINUE), one, carry)
            if not self.prices.tasks_in_validation:
                return carry  # a validation that never comes is not compiled
            state, done, code, fitness, values, kept = carry
            values = jax.lax.cond(
                self.validates(first + done - 1),
                lambda: write(values, done - 1, self._record(state, drawn)),
                lambda: values,
            )
            return state, done, code, fitness, values, kept

        def unfinished(carry: Any) -> Any:
            return (carry[1] < count) & (carry[2] == CONTINUE)

        carry = (state, jnp.int32(0), stop_code(self.strategy, state, target), fitness, values, kept)
        return jax.lax.while_loop(unfinished, until_validation, carry)


def _at_once(program: Callable[..., Any], *given: Any) -> Callable[[], Any]:
    found = program(*given)
    return lambda: found


def _numbers(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _replicated(devices: tuple[jax.Device, ...]) -> Any:
    if len(devices) == 1:
        return SingleDeviceSharding(devices[0])
    return NamedSharding(mesh_of(devices), PartitionSpec())
