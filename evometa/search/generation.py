"""The state of a search, its keys, and what one generation does with an evaluated population.

Everything here is pure and the same for compiled and plain-Python problems: which keys a generation uses, which
candidates failed, what the strategy is told, which candidate is the best so far, and what the history records.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.backend.precision import key_of
from evometa.evaluation.population_evaluator import Evaluated
from evometa.feasibility import feasible, ranked, sound, worst_feasible
from evometa.halving import behind
from evometa.problem import Evaluation
from evometa.search.finalists import Finalists, enter, no_finalists
from evometa.spaces import Space
from evometa.strategy import Feedback, Redrawn, Strategy, tell_population
from evometa.types import Genotype, Key, Scalar

CONTINUE, TARGET_REACHED, FIRST_STRATEGY_STOP = 0, 1, 2
"""Stop codes of a dispatch; a strategy's own reasons follow."""


class SearchState(NamedTuple):
    """Everything a search carries from one generation to the next; what a checkpoint stores."""

    strategy: Any
    """The strategy's state."""
    best_genotype: Genotype
    """The genotype of the best fitness so far, as asked."""
    best_fitness: Scalar
    """The best fitness so far, to be minimised; +inf before there is one. While no candidate has kept the constraints,
    the huge one of the candidate that violates them least (:func:`evometa.feasibility.ranked`)."""
    carried: Any = ()
    """What the evaluation of populations carries between generations, such as learners in the middle of training."""
    finalists: Finalists | tuple[()] = ()
    """Candidates kept for the final selection; empty where there will be none."""


class RootKeys(NamedTuple):
    """The keys that everything random in a search follows from."""

    start: Key
    """For the strategy's first state."""
    generations: Key
    """For all generations."""
    validation: Key
    """For the tasks of validations and of the final selection."""
    episodes: Key
    """For tasks that last over generations: that of evaluating in a generation 0, which there is not."""


def root_keys(seed: int) -> RootKeys:
    """Return the keys of a seed."""
    keys: RootKeys = _root_keys(key_of(seed))
    return keys


@jax.jit
def _root_keys(key: Key) -> RootKeys:
    start, generations, validation = jax.random.split(key, 3)
    return RootKeys(start, generations, validation, generation_keys(generations, 0)[1])


def generation_keys(root: Key, generation: int | Scalar) -> Key:
    """Return the keys ``[3]`` of a generation for asking, evaluating and telling; generations count from 1."""
    return jax.random.split(jax.random.fold_in(root, generation), 3)


def initial_state(
    strategy: Strategy[Any], space: Space, key: Key, finalists: int, first: Scalar, carried: Any = ()
) -> SearchState:
    """Return the state of a search before its first generation; with several starts, at the one of an index."""
    begins = space if space.starts is None else space.starting_at(space.starts, first)
    state = strategy.init(key, begins)
    if begins is not space:  # a state that keeps the space keeps the one that all states of the search have
        structure = jax.tree.structure(jax.eval_shape(strategy.init, key, space))
        state = jax.tree.unflatten(structure, jax.tree.leaves(state))
    if space.starts_ordered:
        state = strategy.begun(state, jax.tree.map(jnp.asarray, space.starts))
    genotype = begins.start(key)
    kept = no_finalists(genotype, finalists) if finalists else ()
    return SearchState(state, genotype, jnp.asarray(jnp.inf, jnp.result_type(float)), carried, kept)


def first_center(strategy: Strategy[Any], space: Space, key: Key, first: Scalar) -> Genotype:
    """Return the strategy's center before the first generation, or where the search begins if there is none."""
    state = initial_state(strategy, space, key, 0, first)
    center = strategy.center(state.strategy)
    return state.best_genotype if center is None else center


def stop_code(strategy: Strategy[Any], state: SearchState, target: Scalar) -> Scalar:
    """Return why a dispatch ends after a generation: ``CONTINUE``, ``TARGET_REACHED`` or a strategy's reason.

    Args:
        strategy: the strategy.
        state: the state after the generation.
        target: the fitness to reach, to be minimised; -inf for none.
    """
    own = strategy.stop(state.strategy)
    own = jnp.where(own > 0, own + FIRST_STRATEGY_STOP - 1, CONTINUE)
    return jnp.where(state.best_fitness <= target, TARGET_REACHED, own).astype(jnp.int32)


def tell(
    strategy: Strategy[Any], sign: float, key: Key, state: SearchState, genotypes: Genotype, evaluated: Evaluated
) -> tuple[SearchState, jax.Array, dict[str, Scalar]]:
    """Tell the strategy the evaluation of a population, update the best so far, and record the generation.

    Of a generation in which all failed hear only the strategies that want to.

    Args:
        strategy: the strategy.
        sign: the factor that turns the fitness into one to minimise.
        key: the strategy's key.
        state: the state after ``ask``.
        genotypes: the population ``[P, ...]``, or a :class:`~evometa.strategy.Redrawn`.
        evaluated: as the problem gave it, leading axis P.

    Returns:
        The state; the fitness ``[P]`` as it is told, NaN for failed candidates; and the columns of the history.
    """

    def learn(told: Feedback) -> Any:
        return tell_population(strategy, key, state.strategy, genotypes, told)

    return noted(strategy, sign, state, genotypes, evaluated, learn)


def noted(
    strategy: Strategy[Any],
    sign: float,
    state: SearchState,
    genotypes: Genotype,
    evaluated: Evaluated,
    learn: Callable[[Feedback], Any],
) -> tuple[SearchState, jax.Array, dict[str, Scalar]]:
    """Update the best so far by the evaluation of a population, and record the generation.

    The best is a candidate that keeps the constraints, where there is one, and never one that was stopped early.
    Arguments and result are those of :func:`tell`, and ``learn``: from what the strategy is to be told to its state.
    """
    evaluation, stopped_at = evaluated.evaluation, evaluated.stopped_at
    fitness, whole = jnp.asarray(evaluation.fitness), sound(evaluation)
    told = heard(evaluated, sign)
    loss = told.fitness
    if stopped_at is not None:
        fitness = sign * loss
    allowed = loss
    if told.constraints is not None:
        allowed = ranked(loss, told.constraints)
    if stopped_at is not None:
        allowed = jnp.where(stopped_at > 0, jnp.inf, allowed)
    winner = jnp.argmin(allowed)
    if isinstance(genotypes, Redrawn):
        best_now = strategy.member(genotypes.state, winner)
    else:
        best_now = jax.tree.map(lambda leaf: leaf[winner], genotypes)
    learned = learn(told)
    better = allowed[winner] < state.best_fitness
    genotype = jax.tree.map(lambda new, old: jnp.where(better, new, old), best_now, state.best_genotype)
    finalists = state.finalists
    if isinstance(finalists, Finalists):
        finalists = enter(finalists, best_now, allowed[winner])
    best = jnp.minimum(allowed[winner], state.best_fitness)
    state = SearchState(learned, genotype, best, state.carried, finalists)
    known = jnp.isfinite(best)
    if told.constraints is not None:
        known = best <= worst_feasible(best.dtype)
    record = {"best_so_far": jnp.where(known, sign * best, jnp.nan)}
    record |= {f"strategy/{name}": value for name, value in strategy.diagnostics(learned).items()}
    record |= {f"best/{name}": jnp.asarray(value)[winner] for name, value in evaluation.metrics.items()}
    if evaluation.constraints is not None:
        record["feasible"] = jnp.mean(feasible(jnp.asarray(evaluation.constraints)))
    if stopped_at is not None:
        record["stopped"] = jnp.sum(whole & (stopped_at > 0))
    return state, jnp.where(whole, fitness, jnp.nan), record


def heard(evaluated: Evaluated, sign: float) -> Feedback:
    """Return what a strategy is told of a population: to be minimised, and finite but for the losses of failed ones.

    The one place where the rule for failures is kept: a candidate failed when its fitness, or anything else that it is
    evaluated by, is not finite. Its loss is +inf. One that was stopped early is told behind all that were trained
    further (:func:`evometa.halving.behind`).
    """
    evaluation, whole = evaluated.evaluation, sound(evaluated.evaluation)
    loss = jnp.where(whole, sign * jnp.asarray(evaluation.fitness), jnp.inf)
    if evaluated.stopped_at is not None:
        loss = behind(loss, evaluated.stopped_at)

    def clean(part: Any, factor: float, failed: float) -> Any:
        if part is None:
            return None
        return jax.tree.map(
            lambda leaf: jnp.where(whole.reshape(-1, *[1] * (leaf.ndim - 1)), factor * leaf, failed), part
        )

    objectives = clean(evaluation.objectives, sign, jnp.inf)
    if objectives is not None and evaluated.stopped_at is not None:
        objectives = jax.vmap(behind, in_axes=(1, None), out_axes=1)(objectives, evaluated.stopped_at)
    return Feedback(
        loss,
        objectives=objectives,
        constraints=clean(evaluation.constraints, 1.0, jnp.inf),
        measures=clean(evaluation.measures, 1.0, 0.0),
        gradient=clean(evaluated.gradient, sign, 0.0),
    )


def validation_columns(train: Evaluation, test: Evaluation | None) -> dict[str, Scalar]:
    """Return the columns of the history that a validation gives."""
    columns: dict[str, Any] = {f"center/{name}": value for name, value in train.metrics.items()}
    columns = {"center": train.fitness} | columns
    columns["held_out"] = jnp.nan if test is None else test.fitness
    if test is not None:
        columns |= {f"held_out/{name}": value for name, value in test.metrics.items()}
    return columns
