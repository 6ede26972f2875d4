"""Parents for MAP-Elites as long as no candidate keeps the constraints: those that violate them least.

They lie in the first rows of the archive, which are of no use while it is empty, the least violating first; their
fitness is that of :func:`evometa.feasibility.ranked`. With the first elite they are gone.
"""

import jax
import jax.numpy as jnp
from jax import lax

from evometa.feasibility import ranked
from evometa.strategies.quality_diversity.grid import Elites
from evometa.strategy import Feedback
from evometa.types import Genotype, Key, Scalar

MOST = 32
"""Parents, as far as there are as many cells."""


def count(elites: Elites) -> Scalar:
    """Return the number of parents, int32; 0 when there are elites."""
    return jnp.where(elites.filled > 0, 0, jnp.sum(jnp.isfinite(elites.fitness[:MOST]), dtype=jnp.int32))


def keep(before: Elites, elites: Elites, genotypes: Genotype, feedback: Feedback) -> Elites:
    """Return the archive with the least violating of the former parents and a population, unless it holds elites.

    Args:
        before: the archive before the population.
        elites: the archive after it.
        genotypes: ``[P, ...]``.
        feedback: what they came to.
    """
    if feedback.constraints is None:
        return elites
    fitness = ranked(feedback.fitness, feedback.constraints).astype(elites.fitness.dtype)
    former, now = (jax.tree.map(lambda leaf: leaf[:MOST], (of.genotypes, of.fitness)) for of in (before, elites))

    def least() -> tuple[Genotype, jax.Array]:
        everyone = jax.tree.map(lambda old, new: jnp.concatenate([old, new]), former, (genotypes, fitness))
        order = jnp.argsort(everyone[1])[: len(former[1])]
        kept: tuple[Genotype, jax.Array] = jax.tree.map(lambda leaf: leaf[order], everyone)
        return kept

    rows = lax.cond(elites.filled > 0, lambda: now, least)
    parents, theirs = jax.tree.map(lambda leaf, row: leaf.at[:MOST].set(row), (elites.genotypes, elites.fitness), rows)
    return elites._replace(genotypes=parents, fitness=theirs)


def forget(elites: Elites) -> Elites:
    """Return the archive without parents: with elites only."""
    fitness = jnp.asarray(elites.fitness)  # a state at rest has arrays of NumPy
    return elites._replace(fitness=fitness.at[:MOST].set(jnp.where(elites.filled > 0, fitness[:MOST], jnp.inf)))


def pick(key: Key, elites: Elites, number: int) -> Genotype:
    """Return ``number`` parents, drawn with replacement; there must be some."""
    row = jax.random.randint(key, (number,), 0, jnp.maximum(count(elites), 1))
    return jax.tree.map(lambda leaf: leaf[row], elites.genotypes)
