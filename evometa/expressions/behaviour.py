"""What an expression does, apart from how it is written: values or derivatives at fixed points, and a number for them.

Two trees that do the same train the same learner, and a loss without a gradient trains none. Both are seen here for
the price of a few dozen points, before anything is trained.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.expressions.program import Program
from evometa.types import Scalar

_ROUNDED_BITS = 13
"""Bits of a float32's fraction that are rounded away; 10 remain, three decimal digits."""
_LEAST = 1e-8


class Behaviour(NamedTuple):
    """What a search wants to know of an expression before it is judged."""

    fingerprint: Scalar
    """uint32; equal for expressions that do the same up to three digits, and for others with chance 2⁻³²."""
    alive: Scalar
    """Whether all is finite and, where derivatives are asked for, not all of them are 0; bool."""


def behaviour(program: Program, points: tuple[jax.Array, ...], differentiated: tuple[int, ...]) -> Behaviour:
    """Evaluate an expression at points.

    Args:
        program: the expression.
        points: one array ``[W]`` for each argument.
        differentiated: the arguments whose derivatives are what matters; empty: the value is.
    """
    if not differentiated:
        return _seen(program(*points))

    def value(*moved: jax.Array) -> Scalar:
        given = list(points)
        for place, argument in zip(differentiated, moved, strict=True):
            given[place] = argument
        return jnp.sum(program(*given))

    found = jnp.stack(jax.grad(value, tuple(range(len(differentiated))))(*(points[i] for i in differentiated)))
    return _seen(found, jnp.any(jnp.abs(found) > _LEAST))


def behaviours(programs: Program, points: tuple[jax.Array, ...], differentiated: tuple[int, ...]) -> Behaviour:
    """Evaluate a population of expressions ``[P, ...]``, one at a time, as they branch; leading axis P."""
    if differentiated:
        return jax.lax.map(lambda program: behaviour(program, points, differentiated), programs)
    seen: Behaviour = programs.each(_seen, *points)
    return seen


def _seen(found: jax.Array, useful: bool | Scalar = True) -> Behaviour:
    return Behaviour(_hashed(found.astype(jnp.float32).reshape(-1)), jnp.all(jnp.isfinite(found)) & useful)


def _hashed(values: jax.Array) -> Scalar:
    bits = jax.lax.bitcast_convert_type(values + 0.0, jnp.uint32)  # -0 becomes 0
    rounded = (bits + np.uint32(1 << (_ROUNDED_BITS - 1))) >> _ROUNDED_BITS
    # Multiply-add hashing with odd factors drawn once (Dietzfelbinger et al. 1997), then the high bits mixed down.
    factors = np.random.default_rng(0).integers(0, 2**32, values.shape[0], np.uint32) | np.uint32(1)
    mixed = jnp.sum((rounded ^ (rounded << 16)) * factors, dtype=jnp.uint32)
    mixed = (mixed ^ (mixed >> 16)) * np.uint32(0x85EBCA6B)
    return mixed ^ (mixed >> 13)
