"""The checks of a strategy for asynchronous search: candidates come back in any order, and some of them fail."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.asynchronous import AsynchronousStrategy, tell_completed
from evometa.spaces import Box, Categorical, Dict, Integer, VectorSpace
from evometa.strategy import require_space
from evometa.testing.promises import alike, compiled, equal, match, nans, require
from evometa.testing.strategies import SEED, made_up_feedback

ON_THEIR_WAY = 5


def check_asynchronous_strategy(
    strategy: AsynchronousStrategy[Any], space: VectorSpace | None = None, *, candidates: int = 240
) -> None:
    """Check that a strategy keeps the contract of :class:`~evometa.AsynchronousStrategy`, besides that of any other.

    Shapes and types; a sound state where candidates come back in any order and one in five fails; the same bits after
    an interruption; progress on a sphere, a unit away from the start or on the bounds.

    Args:
        strategy: an instance, with the smallest sensible population.
        space: what to search; None: four unbounded real numbers, or where the strategy refuses those a mixed space.
        candidates: how many to search with.

    Raises:
        ContractError: the first promise that is not kept.
        ConfigurationError: the strategy cannot search the space.
    """
    if space is None:
        space = Box((4,), start=np.zeros(4))
        if strategy.incompatibility(space):
            space = Dict({"real": Box((2,), 0.0, 1.0), "integer": Integer(0, 9), "category": Categorical(3)})
    require_space(strategy, space)
    name, together = type(strategy).__name__, strategy.told_together
    require(
        together in (1, strategy.population_size),
        f"{name}.told_together expects 1 or population_size, got {together}",
    )
    key = jax.random.key(SEED)
    state = compiled(lambda: strategy.init(key, space))()
    one = jax.eval_shape(space.start, key)
    alike(f"{name}.ask_one", one, jax.eval_shape(strategy.ask_one, key, state, jnp.int32(0)))
    upper = space.coordinates.upper
    goal = np.where(np.isfinite(upper), np.nan_to_num(upper, posinf=0.0), np.asarray(space.start(key)) + 1.0)

    def fitness(genotype: Any) -> Any:
        return jnp.sum((space.repair(genotype) - goal) ** 2, dtype=jnp.result_type(float))

    def tell(key: Any, state: Any, genotypes: Any, values: Any) -> Any:
        return tell_completed(strategy, key, state, genotypes, made_up_feedback(strategy, genotypes, values))

    values = jax.ShapeDtypeStruct((together,), jnp.result_type(float))
    batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((together, *leaf.shape), leaf.dtype), one)
    alike(f"{name}.tell_completed's state", state, jax.eval_shape(tell, key, state, batch, values))

    def begun(state: Any) -> Any:
        first = [strategy.ask_one(jax.random.fold_in(key, i), state, jnp.int32(i)) for i in range(ON_THEIR_WAY)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *first)

    def step(number: Any, carry: Any) -> Any:
        """Complete one of the candidates that are on their way, tell when there are enough, and ask for one."""
        state, underway, told, losses = carry
        key_place, key_tell, key_ask = jax.random.split(jax.random.fold_in(key, number + ON_THEIR_WAY), 3)
        place = jax.random.randint(key_place, (), 0, ON_THEIR_WAY)
        taken = jax.tree.map(lambda leaf: leaf[place], underway)
        loss = jnp.where(number % 5 == 4, jnp.inf, fitness(taken))
        losses, at = losses.at[number].set(loss), number % together
        told = jax.tree.map(lambda all_, new: all_.at[at].set(new), told, taken)
        recent = jax.lax.dynamic_slice(losses, (number - at,), (together,))
        state = jax.lax.cond(at == together - 1, lambda: tell(key_tell, state, told, recent), lambda: state)
        asked = strategy.ask_one(key_ask, state, number + ON_THEIR_WAY)
        return state, jax.tree.map(lambda all_, new: all_.at[place].set(new), underway, asked), told, losses

    def run(first: Any, count: Any, carry: Any) -> Any:
        return jax.lax.fori_loop(first, first + count, step, carry)

    whole, half = candidates // together * together, 3 * together
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), batch)
    start = state, compiled(begun)(state), empty, jnp.full(whole, jnp.inf, values.dtype)
    search = compiled(run)
    ended = search(0, whole, start)
    resumed = search(half, whole - half, jax.device_get(search(0, half, start)))
    require(match(equal, ended, resumed), f"{name} expects its state to hold all that an interrupted search needs")
    require(nans(ended[0]) <= nans(state), f"{name} expects no NaN in its state after candidates that failed")
    losses = np.asarray(ended[3])
    begin, end = np.min(losses[: whole // 4]), np.min(losses)
    require(end < begin, f"{name} expects progress on a sphere, whose best fitness remained {begin:.4g}")
