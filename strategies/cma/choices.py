"""Probabilities of categories, learned by an adaptive natural gradient (Akimoto et al. 2019; CatCMA, arXiv:2405.09962).

K is the number of choices of the largest of the N categories.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.spaces import VectorSpace
from evometa.strategies.shared import categorical
from evometa.types import Scalar

CHANGED = 0.27
"""At least this part of all candidates has another choice than the likeliest in some category, in the end (CatCMA)."""


class Choices(NamedTuple):
    """The probability of each choice of N categories, and the state of their adaptation."""

    probability: jax.Array
    """``[N, K]``, rows sum to 1; 0 where there are fewer choices."""
    path: jax.Array
    """``[N, K]``, mean of the last directions, each of length 1 in standard deviations."""
    norm: Scalar
    """What the squared length of the path would be, had directions been drawn at random."""
    slowness: Scalar
    """Δ; a step has the length 1/Δ."""


def equally_likely(space: VectorSpace) -> Choices:
    """Return equal probabilities for all choices, the state at the start."""
    has = jnp.asarray(categorical.available(space), jnp.result_type(float))
    zero = jnp.zeros((), has.dtype)
    return Choices(has / jnp.sum(has, axis=1, keepdims=True), jnp.zeros_like(has), zero, zero + 1)


def learn(choices: Choices, frequency: jax.Array, space: VectorSpace) -> Choices:
    """Move the probabilities towards the choices of the best candidates.

    The step size adapts to the signal-to-noise ratio. A natural gradient is measured in standard deviations, √(Σ g²/p).
    The evolution path of the last gradients is long when they agree, which makes the next steps longer, and short when
    they are random, which makes them shorter.

    Args:
        choices: the probabilities that the candidates were drawn with.
        frequency: sum of the recombination weights of the candidates with each choice, ``[N, K]``; rows sum to 1.
        space: the N categories.
    """
    p, has = choices.probability, categorical.available(space)
    free = max(int(has.sum()) - space.size, 1)
    gradient = frequency - p
    direction = jnp.where(has, gradient / jnp.sqrt(jnp.where(has, p, 1.0)), 0.0)
    length = jnp.maximum(jnp.linalg.norm(direction), jnp.finfo(p.dtype).tiny)
    p = p + gradient / (length * choices.slowness)

    rate = 1 / (choices.slowness * math.sqrt(free))
    path = (1 - rate) * choices.path + jnp.sqrt(rate * (2 - rate)) * direction / length
    norm = (1 - rate) ** 2 * choices.norm + rate * (2 - rate)
    slowness = choices.slowness * jnp.exp(rate * (norm - jnp.sum(path**2) / 1.5))

    least = _least(space).astype(p.dtype)
    p = jnp.where(has, jnp.maximum(p, least), 0.0)
    spare = jnp.where(has, p - least, 0.0)
    p = p - (jnp.sum(p, axis=1, keepdims=True) - 1) * spare / jnp.maximum(jnp.sum(spare, axis=1, keepdims=True), 1e-6)
    p = p / jnp.sum(p, axis=1, keepdims=True)
    return Choices(p, path, norm, jnp.maximum(slowness, 1 / math.sqrt(free)))


def _least(space: VectorSpace) -> jax.Array:
    """Return the lower bound of the probabilities (the margin) in each category ``[N, 1]``."""
    count = space.coordinates.upper[:, None] + 1
    return jnp.asarray((1 - (1 - CHANGED) ** (1 / space.size)) / np.maximum(count - 1, 1))
