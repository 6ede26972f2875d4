"""A bare search for tests: strategy, function and a loop."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.spaces import VectorSpace
from evometa.strategy import Feedback, Strategy


class Found(NamedTuple):
    """The result of a search."""

    state: Any
    center: Any
    best: float
    """Best fitness of all generations."""
    generations: int
    """How many until the target was met, the strategy stopped, or there were no more."""
    reason: str
    """The strategy's stop reason up to its colon, or nothing."""


def first_generation(strategy: Strategy[Any], space: VectorSpace, seed: int = 0) -> tuple[jax.Array, Any]:
    """Return the first candidates ``[P, D]``, and the state that asked for them."""
    key_init, key_ask = jax.random.split(jax.random.key(seed))
    return jax.jit(lambda: strategy.ask(key_ask, strategy.init(key_init, space)))()


def search(
    strategy: Strategy[Any],
    space: VectorSpace,
    function: Callable[[jax.Array], jax.Array],
    *,
    generations: int,
    target: float = -jnp.inf,
    seed: int = 0,
) -> Found:
    """Minimise ``function``, which takes repaired genotypes ``[P, D]`` to fitness ``[P]``."""
    return searches(strategy, space, function, generations=generations, target=target, seeds=[seed])[0]


def searches(
    strategy: Strategy[Any],
    space: VectorSpace,
    function: Callable[[jax.Array], jax.Array],
    *,
    generations: int,
    target: float = -jnp.inf,
    seeds: Iterable[int],
) -> list[Found]:
    """Search once for each seed, compiled once."""
    run = _compiled(strategy, space, function)

    def found(seed: int) -> Found:
        state, center, best, number, code = run(jax.random.key(seed), generations, target)
        reason = ("", *strategy.stop_reasons)[int(code)].partition(":")[0]
        return Found(state, center, float(best), int(number), reason)

    return [found(seed) for seed in seeds]


@functools.lru_cache(4)
def _compiled(strategy: Strategy[Any], space: VectorSpace, function: Callable[[jax.Array], jax.Array]) -> Any:
    """Return the program of a search, which serves any length and target."""

    def generation(key: Any, carry: Any) -> Any:
        state, best, number = carry
        genotypes, state = strategy.ask(jax.random.fold_in(key, number), state)
        fitness = function(jax.vmap(space.repair)(genotypes))
        state = strategy.tell(key, state, genotypes, Feedback(fitness))
        return state, jnp.minimum(best, jnp.min(fitness)), number + 1

    @jax.jit
    def run(key: Any, generations: Any, target: Any) -> Any:
        def going(carry: Any) -> Any:
            state, best, number = carry
            return (best > target) & (strategy.stop(state) == 0) & (number < generations)

        first = strategy.init(key, space), jnp.asarray(jnp.inf, jnp.result_type(float)), jnp.int32(0)
        state, best, number = jax.lax.while_loop(going, functools.partial(generation, key), first)
        return state, strategy.center(state), best, number, strategy.stop(state)

    return run


def sphere(x: jax.Array) -> jax.Array:
    return jnp.sum((x - 0.5) ** 2, axis=-1)


def ellipsoid(x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.logspace(0, 6, x.shape[-1]) * x**2, axis=-1)


def rosenbrock(x: jax.Array) -> jax.Array:
    return jnp.sum(100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1 - x[..., :-1]) ** 2, axis=-1)


def cigar(x: jax.Array) -> jax.Array:
    return x[..., 0] ** 2 + 1e6 * jnp.sum(x[..., 1:] ** 2, axis=-1)
