"""Dominance, fronts and crowding (Deb et al. 2002), for hundreds of candidates in microseconds.

The dominance relation is stored as bits, 32 candidates a word, so that removing a front from N candidates costs N²/32
operations on words that stay in cache. Many candidates with two objectives are sorted instead, which costs N log N.
Letters: N candidates, M objectives, W = ⌈N/32⌉ words.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_BITS = 32
_PLACES = 2 ** np.arange(_BITS, dtype=np.uint32)
_MANY = 2048
"""From so many candidates on, sorting takes less time than bits."""


def fronts(objectives: jax.Array, violation: jax.Array, enough: int) -> jax.Array:
    """Return the front that each candidate is in, int32 ``[N]``: 0 for those that none dominates, and so on.

    Constrained dominance: a feasible candidate dominates an infeasible one, and of two infeasible ones the smaller
    violation dominates; of two feasible ones, the one that is nowhere worse and somewhere better. Of equal candidates
    the first dominates the others, so that copies do not displace different candidates.

    Args:
        objectives: ``[N, M]``, to be minimised, no NaN.
        violation: ``[N]``, how much a candidate violates the constraints; 0 where it is feasible.
        enough: stop when so many candidates have a front; the others get N.
    """
    count = len(violation)
    if objectives.shape[1] == 2 and count >= _MANY:
        number_of = _chains(objectives, violation)
        return jnp.where(number_of <= jnp.sort(number_of)[enough - 1], number_of, count)
    dominators = _dominators(objectives, violation)

    def take_away(carry: Any) -> Any:
        front, left, number, taken = carry
        free = (front == count) & ~jnp.any(dominators & left[:, None] != 0, axis=0)
        front = jnp.where(free, number, front)
        return front, left & ~_packed(free), number + 1, taken + jnp.sum(free, dtype=jnp.int32)

    nothing = jnp.full(count, count, jnp.int32), _packed(jnp.ones(count, bool)), jnp.int32(0), jnp.int32(0)
    front: jax.Array = lax.while_loop(lambda carry: carry[3] < enough, take_away, nothing)[0]
    return front


def _chains(objectives: jax.Array, violation: jax.Array) -> jax.Array:
    """Return the front of each candidate, for two objectives, by one pass over them in order (Jensen 2003).

    In the order of the first objective, a candidate is dominated by a member of a front if the smallest second
    objective in that front so far is not above its own. These minima grow from front to front, so the first front that
    does not dominate a candidate is found by bisection.
    """
    count = len(violation)
    first, second = jnp.where(violation > 0, jnp.inf, objectives.T)
    amount, _, second, member = lax.sort((violation, first, second, lax.iota(jnp.int32, count)), num_keys=4)
    strides = [2**power for power in reversed(range(count.bit_length()))]

    def let_in(carry: tuple[jax.Array, jax.Array], candidate: tuple[jax.Array, jax.Array]) -> Any:
        (least, last), (value, amount) = carry, candidate
        front = jnp.int32(0)
        for stride in strides:
            further = front + stride
            shut = (further <= count) & (least[jnp.minimum(further, count) - 1] <= value)
            front = jnp.where(shut, further, front)
        front = jnp.where(amount > 0, last + 1, front)  # each violator is behind all before it
        return (least.at[front].set(value), jnp.maximum(last, front)), front

    empty = jnp.full(count, jnp.nan, second.dtype), jnp.int32(-1)
    front: jax.Array = lax.scan(let_in, empty, (second, amount))[1]
    return jnp.zeros(count, jnp.int32).at[member].set(front, unique_indices=True)


def _dominators(objectives: jax.Array, violation: jax.Array) -> jax.Array:
    """Return uint32 ``[W, N]``: bit k of word w of column j says whether candidate k W + w dominates j.

    Numbering candidates with stride W keeps the long axis last in memory; plain conjunctions of comparisons, put
    together only as words, are what the compiler vectorises.
    """
    count = len(violation)
    # Candidates that violate constraints are compared by that alone, and come after all others.
    allowed = jnp.where(violation[:, None] > 0, jnp.inf, objectives)
    nowhere_worse = nowhere_better = jnp.asarray(True)
    for column in [*jnp.unstack(allowed, axis=1), violation]:
        one, other = _by_word(column, jnp.inf)[:, :, None], column[None, None]
        nowhere_worse, nowhere_better = nowhere_worse & (one <= other), nowhere_better & (one >= other)
    number = np.arange(_words(count) * _BITS).reshape(_BITS, -1)
    earlier = np.sum((number[:, :, None] < np.arange(count)) * _PLACES[:, None, None], axis=0, dtype=np.uint32)
    real = np.sum((number < count) * _PLACES[:, None], axis=0, dtype=np.uint32)  # the others fill up the last word
    words = ~_joined(nowhere_better) | jnp.asarray(earlier)
    return _joined(nowhere_worse) & words & jnp.asarray(real)[:, None]


def _words(count: int) -> int:
    return -(-count // _BITS)


def _by_word(values: jax.Array, filler: float | bool) -> jax.Array:
    """Return ``[N]`` as ``[32, W]``, padded at the end."""
    return jnp.pad(values, (0, _words(len(values)) * _BITS - len(values)), constant_values=filler).reshape(_BITS, -1)


def _joined(bits: jax.Array) -> jax.Array:
    """Return booleans ``[32, ...]`` as uint32 words ``[...]``."""
    places = _PLACES.reshape(_BITS, *[1] * (bits.ndim - 1))
    return jnp.sum(jnp.where(bits, places, jnp.uint32(0)), axis=0, dtype=jnp.uint32)


def _packed(members: jax.Array) -> jax.Array:
    """Return a set of candidates, bool ``[N]``, as words ``[W]``."""
    return _joined(_by_word(members, False))


def crowding(objectives: jax.Array, front: jax.Array) -> jax.Array:
    """Return the crowding distance of each candidate in its front, ``[N]``, +inf at the ends of a front.

    The distance between the two neighbours in each objective, divided by the front's extent, and summed.

    Args:
        objectives: ``[N, M]``.
        front: which front each candidate is in, ``[N]``.
    """
    position = lax.iota(jnp.int32, len(front))
    total = jnp.zeros(len(front), objectives.dtype)
    for column in jnp.unstack(objectives, axis=1):
        number, value, member = lax.sort((front, column, position), num_keys=2)
        changes = jnp.concatenate([jnp.ones(1, bool), number[1:] != number[:-1], jnp.ones(1, bool)])
        opens, closes = changes[:-1], changes[1:]
        low = value[lax.cummax(jnp.where(opens, position, 0))]
        high = value[lax.cummin(jnp.where(closes, position, len(front)), reverse=True)]
        extent = jnp.where(high > low, high - low, 1.0)
        gap = (jnp.roll(value, -1) - jnp.roll(value, 1)) / extent
        # Failed candidates are infinitely far from each other and from nowhere: they crowd like anybody at an end.
        gap = jnp.where(opens | closes | ~jnp.isfinite(gap), jnp.inf, gap)
        total = total.at[member].add(gap, unique_indices=True)
    return total
