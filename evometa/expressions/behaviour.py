"""Semantic fingerprints: what an expression computes at fixed points, however it is written.

Two trees that compute the same train the same learner, and a loss without a gradient trains none. Evaluating an
expression at a few dozen points detects both cases before anything is trained.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.expressions.program import Program
from evometa.types import Scalar

_ROUNDED_BITS = 13
"""Bits of a float32's fraction that are rounded away; 10 remain, about three decimal digits."""
_ZERO_GRADIENT = 1e-8
"""Derivatives not larger than this count as zero."""


class Behaviour(NamedTuple):
    """What a search knows of an expression before it is evaluated by training."""

    fingerprint: Scalar
    """uint32 hash; equal for expressions that agree to three digits at all points, otherwise with chance 2⁻³²."""
    alive: Scalar
    """bool: whether all values (or derivatives) are finite and, for derivatives, not all of them zero."""


def behaviour(program: Program, points: tuple[jax.Array, ...], differentiated: tuple[int, ...]) -> Behaviour:
    """Return the fingerprint of an expression at given points.

    Args:
        program: the expression.
        points: one array ``[W]`` for each argument.
        differentiated: indices of the arguments whose derivatives are compared; empty: the values are compared.
    """
    if not differentiated:
        return _summary(program(*points))

    def total(*variables: jax.Array) -> Scalar:
        arguments = list(points)
        for index, variable in zip(differentiated, variables, strict=True):
            arguments[index] = variable
        return jnp.sum(program(*arguments))

    gradients = jnp.stack(jax.grad(total, tuple(range(len(differentiated))))(*(points[i] for i in differentiated)))
    return _summary(gradients, jnp.any(jnp.abs(gradients) > _ZERO_GRADIENT))


def behaviours(programs: Program, points: tuple[jax.Array, ...], differentiated: tuple[int, ...]) -> Behaviour:
    """Return the same for a population of expressions ``[P, ...]``, with a leading axis P.

    They are evaluated one at a time, since each takes its own branches.
    """
    if differentiated:
        by_gradient: Behaviour = jax.lax.map(lambda program: behaviour(program, points, differentiated), programs)
        return by_gradient
    by_value: Behaviour = programs.each(_summary, *points)
    return by_value


def _summary(numbers: jax.Array, useful: bool | Scalar = True) -> Behaviour:
    return Behaviour(_hash(numbers.astype(jnp.float32).reshape(-1)), jnp.all(jnp.isfinite(numbers)) & useful)


def _hash(values: jax.Array) -> Scalar:
    bits = jax.lax.bitcast_convert_type(values + 0.0, jnp.uint32)  # -0 becomes 0
    rounded = (bits + np.uint32(1 << (_ROUNDED_BITS - 1))) >> _ROUNDED_BITS
    # Multiply-add hashing with odd factors drawn once (Dietzfelbinger et al. 1997), then the high bits mixed down.
    factors = np.random.default_rng(0).integers(0, 2**32, values.shape[0], np.uint32) | np.uint32(1)
    mixed = jnp.sum((rounded ^ (rounded << 16)) * factors, dtype=jnp.uint32)
    mixed = (mixed ^ (mixed >> 16)) * np.uint32(0x85EBCA6B)
    return mixed ^ (mixed >> 13)
