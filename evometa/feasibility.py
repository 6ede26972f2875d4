"""Feasibility first: how a strategy that knows of no constraints is made to keep them.

Of two candidates the feasible one is better; of two feasible ones the one of lower fitness; of two that violate
constraints the one that violates them less, by the sum of what each is violated by (Deb 2000, "An efficient constraint
handling method for genetic algorithms"). The search writes this order into the fitness that it tells, so that every
strategy searches feasibility first over any space; :attr:`evometa.Strategy.constraint_handling` says in which form:

``ranked``     Infeasible candidates get huge numbers, which depend on their violation alone. The order holds between
               generations too, for strategies that keep candidates; the distances mean nothing.
``penalised``  Infeasible candidates get the worst feasible fitness of their generation plus their violation, as in the
               paper: for strategies that compute with the values of the fitness.
``own``        The strategy is told the problem's fitness, and handles the constraints itself.
``none``       The strategy is told the problem's fitness, and cannot heed constraints; the search warns.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from evometa.problem import VECTORS, Evaluation

ConstraintHandling = Literal["ranked", "penalised", "own", "none"]
"""In which form a strategy is told of constraints."""

SHIFT = 5
"""Bits by which the floats from 0 to the largest are condensed into the range of infeasible candidates."""


def sound(evaluation: Evaluation) -> jax.Array:
    """Return which candidates ``[P]`` did not fail: their fitness, objectives, constraints and measures are finite."""
    found = jnp.isfinite(jnp.asarray(evaluation.fitness))
    for part in (getattr(evaluation, name) for name in VECTORS):
        if part is not None:
            found &= jnp.all(jnp.isfinite(part), axis=1)
    return found


def feasible(constraints: ArrayLike) -> jax.Array:
    """Return whether all constraints ``[..., C]`` are kept, bool ``[...]``."""
    return jnp.all(jnp.asarray(constraints) <= 0, axis=-1)


def violation(constraints: ArrayLike) -> jax.Array:
    """Return the sum ``[...]`` of what the constraints ``[..., C]`` are violated by, 0 where all are kept."""
    return jnp.sum(jnp.maximum(constraints, 0.0), axis=-1)


def ranked(fitness: jax.Array, constraints: jax.Array, largest: float | None = None) -> jax.Array:
    """Return a fitness ``[P]`` that puts all infeasible candidates of all generations behind all feasible ones.

    The fitness of feasible candidates stays what it is, up to the limit that :func:`worst_feasible` gives. It has JAX's
    default float type at least.

    Args:
        fitness: ``[P]``, to be minimised; failed candidates (+inf) keep theirs and so come last.
        constraints: ``[P, C]``, each violated where it is above 0.
        largest: the largest fitness of an infeasible candidate; None: so small that sums of many do not overflow.
    """
    dtype = jnp.promote_types(fitness.dtype, jnp.result_type(float))
    fitness = fitness.astype(dtype)
    integer, most = integer_of(dtype), jnp.finfo(dtype).max
    amount = jnp.minimum(violation(constraints.astype(dtype)), most)
    # The bits of positive floats are in the order of the floats. Their whole range, condensed, is put below `largest`.
    below = (_bits(most, dtype) - lax.bitcast_convert_type(amount, integer)) >> SHIFT
    behind = lax.bitcast_convert_type(_bits(_largest(dtype, largest), dtype) - below, dtype)
    told = jnp.where(feasible(constraints), jnp.minimum(fitness, worst_feasible(dtype, largest)), behind)
    return jnp.where(jnp.isfinite(fitness), told, jnp.inf)


def worst_feasible(dtype: Any, largest: float | None = None) -> np.floating[Any]:
    """Return the fitness that :func:`ranked` gives to feasible candidates at most; that of others is above."""
    dtype = np.dtype(dtype)
    bits = _bits(_largest(dtype, largest), dtype) - (_bits(np.finfo(dtype).max, dtype) >> SHIFT) - 1
    limit: np.floating[Any] = np.asarray(bits, integer_of(dtype)).view(dtype)[()]
    return limit


def penalised(fitness: jax.Array, constraints: jax.Array) -> jax.Array:
    """Return a fitness ``[P]`` of infeasible candidates that is worse than that of the feasible ones of a generation.

    It is the worst feasible fitness, where there is none the worst of all, plus the violation. Arguments as in
    :func:`ranked`.
    """
    sound, allowed = jnp.isfinite(fitness), feasible(constraints)
    worst, of_all = (jnp.max(jnp.where(who, fitness, -jnp.inf)) for who in (sound & allowed, sound))
    worst = jnp.where(jnp.isfinite(worst), worst, jnp.where(jnp.isfinite(of_all), of_all, 0.0))
    told = worst + violation(constraints).astype(fitness.dtype)
    return jnp.where(sound & ~allowed, jnp.minimum(told, jnp.finfo(fitness.dtype).max), fitness)


def _largest(dtype: Any, given: float | None) -> float:
    return float(jnp.finfo(dtype).max) ** 0.8 if given is None else given


def integer_of(dtype: Any) -> Any:
    """Return the type of the whole numbers that have the bits of a float type."""
    return {4: np.int32, 8: np.int64}[np.dtype(dtype).itemsize]


def _bits(value: Any, dtype: Any) -> int:
    return int(np.asarray(value, dtype).view(integer_of(dtype)))
