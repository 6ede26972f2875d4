"""The start that a user gave, or several: evaluated before the first generation, unless they are its candidates."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.evaluation_plan import FullEvaluation, GradientEvaluation
from evometa.search.decisions import Limits
from evometa.search.driver import Driver
from evometa.search.generation import SearchState, generation_keys
from evometa.spaces import Space
from evometa.storage.result import Counters
from evometa.types import Genotype


def encoded(
    space: Space, initial: Sequence[Any], most: int, expects: str = "Search expects initial"
) -> Genotype | None:
    """Return the genotypes of the initial points of a search, leaves ``[K, ...]`` on the host; None where K is 0.

    Args:
        space: encodes them.
        initial: K ω.
        most: the candidates in a generation.
        expects: who expects them as what, for messages.

    Raises:
        ConfigurationError: they are not a sequence of ω in the space, or more than ``most``.
    """
    if isinstance(initial, (str, Mapping)) or not hasattr(initial, "__len__") or getattr(initial, "shape", None) == ():
        raise ConfigurationError(
            f"{expects} as a list of ω, got a {type(initial).__name__}; put a single ω into a list."
        )
    if len(initial) > most:
        raise ConfigurationError(
            f"{expects} to have at most as many points as the population has candidates, {most}, got {len(initial)}; "
            "raise the population_size or give fewer."
        )
    if not len(initial):
        return None
    like = jax.eval_shape(lambda key: space.decode(space.sample(key)), jax.eval_shape(jax.random.key, 0))
    genotypes = [_genotype(space, omega, like, f"{expects}[{i}]") for i, omega in enumerate(initial)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *genotypes)


def _genotype(space: Space, omega: Any, like: Any, expects: str) -> Genotype:
    try:
        genotype = jax.tree.map(np.asarray, space.encode(omega))
    except ConfigurationError as error:
        raise ConfigurationError(f"{expects} to be an ω of the space: {error}") from None
    shape = getattr(like, "shape", None)
    if shape is not None and np.shape(omega) != shape:  # that it broadcasts is no sign that it is meant as an ω
        raise ConfigurationError(f"{expects} to be an ω of shape {shape}, got shape {np.shape(omega)}.")
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(genotype)):
        raise ConfigurationError(f"{expects} to hold finite numbers, got NaN or infinity in it.")
    return genotype


def as_lists(starts: Genotype | None) -> list[Any] | None:
    """Return genotypes as the manifest of a run has them."""
    return None if starts is None else [leaf.tolist() for leaf in jax.tree.leaves(starts)]


def from_lists(space: Space, lists: list[Any]) -> Genotype:
    """Return the genotypes that a manifest has.

    Raises:
        ConfigurationError: they are not of this space.
    """
    leaves, structure = jax.tree.flatten(jax.eval_shape(space.sample, jax.eval_shape(jax.random.key, 0)))
    given = [np.asarray(leaf) for leaf in lists]
    if [leaf.shape for leaf in leaves] != [leaf.shape[1:] for leaf in given]:
        raise ConfigurationError(
            f"Search.resume expects a problem in whose space the run's initial points are, with genotypes of shape "
            f"{[leaf.shape[1:] for leaf in given]}, got one with {[leaf.shape for leaf in leaves]}; start a new run."
        )
    return jax.tree.unflatten(structure, given)


def evaluate_start(driver: Driver, state: SearchState, done: Counters, limits: Limits) -> SearchState:
    """Return the state of a new search after its given starts were evaluated and counted as candidates.

    It begins at the best of them. The strategy is not told, so what it asks for from there is the same. Without a given
    start, or where the first population holds them, nothing happens. Of starts in a known order only the first is
    evaluated. With windows of inner training, whose fitness is
    not that of a whole one, they are evaluated only to choose among several.

    Args:
        driver: evaluates them.
        state: the state before the first generation.
        done: the counters of the search, changed in place.
        limits: no further start is evaluated once they leave no room for a generation.
    """
    given = driver.space.starts
    if done.generation or done.evaluations or (given is None and not driver.space.start_given):
        return state
    starts = jax.tree.map(lambda leaf: np.asarray(leaf)[None], state.best_genotype) if given is None else given
    if driver.space.starts_ordered:  # the others are known to be worse
        starts = jax.tree.map(lambda leaf: leaf[:1], starts)
    count = len(jax.tree.leaves(starts)[0])
    done.start = 0
    whole = isinstance(driver.strategy.evaluation, (FullEvaluation, GradientEvaluation))
    if not whole and (count == 1 or driver.strategy.center(state.strategy) is None):
        return state
    losses, tasks = np.full(count, np.inf), driver.prices.tasks_per_evaluation
    for i in np.flatnonzero(~_asked_first(driver, state, starts, count)).tolist():
        if done.evaluations and limits.reached(done, driver.prices):
            break
        losses[i] = driver.loss(_member(starts, i), tasks)
        done.evaluations += 1
        done.inner_steps += driver.prices.of_tasks(tasks).inner_steps
        done.failed += int(np.isinf(losses[i]))
    best = int(np.argmin(losses))
    if best:
        done.start, state = best, driver.initial(best)
    if not (whole and np.isfinite(losses[best])):
        return state
    done.start_succeeded = True
    fitness: Any = np.asarray(losses[best], state.best_fitness.dtype)  # of numpy, which has float64 in any case
    return state._replace(best_fitness=fitness)


def index_of_start(space: Space, recorded: int | None) -> int | None:
    """Return the index of the given start at which a search began, 0 where there are not several; None if unknown.

    Args:
        space: the space of the search.
        recorded: what its counters say, nothing in runs of older versions.
    """
    starts = jax.tree.leaves(space.starts)
    unknown = recorded is None and bool(starts) and len(starts[0]) > 1 and not space.starts_ordered
    return None if unknown else (recorded or 0)


def _asked_first(driver: Driver, state: SearchState, starts: Genotype, count: int) -> NDArray[np.bool_]:
    """Return which starts the first population holds, ``[K]``; one that is drawn around a center holds none."""
    with driver.precision():
        if driver.strategy.center(state.strategy) is not None:
            return np.zeros(count, bool)
        key = generation_keys(driver.keys.generations, 1)[0]
        ask = driver.strategy.ask if driver.strategy.asks_in_python else jax.jit(driver.strategy.ask)
        genotypes, _ = jax.device_get(ask(key, state.strategy))
    return np.array([_holds(genotypes, _member(starts, i)) for i in range(count)])


def _holds(population: Genotype, genotype: Genotype) -> bool:
    same = [
        np.all(all_ == one.astype(all_.dtype), axis=tuple(range(1, all_.ndim)))
        for all_, one in zip(jax.tree.leaves(population), jax.tree.leaves(genotype), strict=True)
    ]
    return bool(np.any(np.all(same, axis=0)))


def _member(starts: Genotype, index: int) -> Genotype:
    return jax.tree.map(lambda leaf: leaf[index], starts)
