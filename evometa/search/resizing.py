"""Resuming a run with another population size: the state of its newest checkpoint in the form of the new one.

A strategy says itself what of its state lasts (:meth:`evometa.Strategy.resized`). What the evaluation carries, such as
learners in the middle of training, is cut, or begins anew for the candidates that are added.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa import naming
from evometa.errors import ConfigurationError, EvometaError
from evometa.search.driver import Driver
from evometa.search.generation import SearchState, initial_state
from evometa.strategy import Strategy


def maker(changes: list[dict[str, Any]], generation: int, strategy: Strategy[Any]) -> Strategy[Any]:
    """Return the strategy that made the checkpoint of a generation.

    A process may have been killed between a change and its first checkpoint, so a change may be recorded already whose
    state is not there yet.

    Args:
        changes: all changes of the run with the generation after which they hold, those to come included.
        generation: that of the checkpoint.
        strategy: the strategy that the run continues with.
    """
    for change in changes:
        if change["part"] == "strategy" and change["generation"] >= generation:
            try:
                former = naming.rebuild(change["before"])
            except EvometaError:  # its class has moved; its state has the same form
                return strategy
            known = type(former).__name__ == type(strategy).__name__ or isinstance(strategy, type(former))
            return former if known else strategy  # of the state of another class, its form is all that can be said
    return strategy


def form_of(driver: Driver, strategy: Strategy[Any]) -> SearchState:
    """Return the state before the first generation as it would be with another strategy."""
    carried = driver.carried_by(strategy)
    with driver.precision():
        made: SearchState = jax.device_get(
            jax.jit(lambda key: initial_state(strategy, driver.space, key, driver.finalists, jnp.int32(0), carried))(
                driver.keys.start
            )
        )
    return made


def resized(driver: Driver, former: Strategy[Any], state: SearchState, generation: int) -> SearchState:
    """Return the state of a checkpoint in the form of the driver's strategy, which has another population size.

    Args:
        driver: of the strategy that continues.
        former: the strategy that made the checkpoint.
        state: its state.
        generation: that of the checkpoint.

    Raises:
        ConfigurationError: the strategy cannot continue with another population size.
    """
    strategy, fresh = driver.strategy, form_of(driver, driver.strategy)
    with driver.precision():
        key = jax.random.fold_in(driver.keys.start, generation)
        program = jax.jit(lambda key, state: strategy.resized(key, state, driver.space, former))
        changed = jax.device_get(program(key, state.strategy))
    after = state._replace(strategy=changed)
    # (in tuples, since the type of a structure is declared without ==)
    if (jax.tree.structure(state.carried),) == (jax.tree.structure(fresh.carried),):
        after = after._replace(carried=jax.tree.map(_rows, state.carried, fresh.carried))
    if _form(after) != _form(fresh):
        raise ConfigurationError(
            f"Search.resume expects {type(strategy).__name__} with the run's population_size, {former.population_size},"
            " and its other settings that decide what its state holds, since the state cannot be carried over to "
            f"{strategy}; start a new run, with initial=[...] to begin at what this one has found."
        )
    return after


def _rows(old: Any, fresh: Any) -> Any:
    if old.shape == fresh.shape or old.shape[1:] != fresh.shape[1:]:
        return old
    return np.concatenate([old[: len(fresh)], fresh[len(old) :]])


def _form(state: SearchState) -> Any:
    leaves, structure = jax.tree.flatten(state)
    return structure, [(np.shape(leaf), np.result_type(leaf)) for leaf in leaves]
