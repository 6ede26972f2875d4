"""The start that a user gave: evaluated once before the first generation, unless it is one of its candidates."""

import jax
import jax.numpy as jnp
import numpy as np

from evometa.evaluation_plan import FullEvaluation, GradientEvaluation
from evometa.feasibility import feasible
from evometa.search.driver import Driver
from evometa.search.generation import SearchState, generation_keys
from evometa.storage.result import Counters


def evaluate_start(driver: Driver, state: SearchState, done: Counters) -> SearchState:
    """Return the state of a new search after its given start was evaluated and counted as a candidate.

    The strategy is not told, so what it asks for is the same. Without a given start, or where the first population
    holds it, nothing happens; nor with windows of inner training, whose fitness is not that of a whole one.

    Args:
        driver: evaluates it.
        state: the state before the first generation.
        done: the counters of the search, changed in place.
    """
    whole = isinstance(driver.strategy.evaluation, (FullEvaluation, GradientEvaluation))
    if done.generation or done.evaluations or not (whole and driver.space.start_given) or _asked_first(driver, state):
        return state
    tasks = driver.prices.tasks_per_evaluation
    evaluation = driver.validate(state.best_genotype, tasks, test=False)
    done.evaluations += 1
    done.inner_steps += driver.prices.of_tasks(tasks).inner_steps
    fitness = driver.sign * float(evaluation.fitness)
    if not np.isfinite(fitness):
        done.failed += 1
        return state
    if evaluation.constraints is not None and not bool(feasible(np.asarray(evaluation.constraints))):
        return state
    return state._replace(best_fitness=jnp.asarray(fitness, state.best_fitness.dtype))


def _asked_first(driver: Driver, state: SearchState) -> bool:
    """Return whether the first population holds the start; one that is drawn around a center does not."""
    with driver.precision():
        if driver.strategy.center(state.strategy) is not None:
            return False
        key = generation_keys(driver.keys.generations, 1)[0]
        genotypes, _ = jax.device_get(jax.jit(driver.strategy.ask)(key, state.strategy))
    same = [
        np.all(all_ == np.asarray(one), axis=tuple(range(1, all_.ndim)))
        for all_, one in zip(jax.tree.leaves(genotypes), jax.tree.leaves(state.best_genotype), strict=True)
    ]
    return bool(np.any(np.all(same, axis=0)))
