"""Genes of growing networks and their historical markings (see :mod:`evometa.topology`)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Genome(NamedTuple):
    """The genes of a network with at most H hidden nodes and C connections.

    Nodes are numbered: first the inputs, then the bias, the outputs, and the hidden nodes in the order of ``node``.
    """

    node: jax.Array
    """``[H]`` uint32, the marking of each hidden node, 0 for an unused place."""
    position: jax.Array
    """``[H]``, the position of each hidden node between inputs (0) and outputs (1)."""
    innovation: jax.Array
    """``[C]`` uint32, the marking of each connection, 0 for an unused place."""
    source: jax.Array
    """``[C]`` int32, the number of the node that a connection starts from."""
    target: jax.Array
    """``[C]`` int32, the number of the node that it leads to."""
    weight: jax.Array
    """``[C]``, the weight of each connection."""
    enabled: jax.Array
    """``[C]`` bool; splitting a connection disables it but keeps its gene."""


def matching_genes(first: Genome, second: Genome) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return which genes of the first match one of the second, and the weight of that and whether it is enabled.

    All are ``[C]``, in the order of the first; weight and enabled are 0 and False where nothing matches.
    """
    used = first.innovation > 0

    def compare(gene: jax.Array, found: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        matched, weight, enabled = found
        matches = used & (first.innovation == second.innovation[gene])
        weight = jnp.where(matches, second.weight[gene], weight)
        return matched | matches, weight, enabled | (matches & second.enabled[gene])

    # Gene after gene of the second, with all of the first at once: five times as fast as all pairs.
    nothing = jnp.zeros_like(used), jnp.zeros_like(first.weight), jnp.zeros_like(used)
    found: tuple[jax.Array, jax.Array, jax.Array] = jax.lax.fori_loop(0, len(used), compare, nothing)
    return found


def marking_of(first: jax.Array, second: jax.Array) -> jax.Array:
    """Return a hash of two markings, uint32 and never 0, with the finalizer of MurmurHash3."""
    mixed = first * jnp.uint32(0x9E3779B1) + second * jnp.uint32(0x85EBCA77) + jnp.uint32(0x27D4EB2F)
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        mixed = (mixed ^ (mixed >> shift)) * jnp.uint32(factor)
    return jnp.maximum(mixed ^ (mixed >> 16), 1)


def choose_one(priorities: jax.Array, allowed: jax.Array) -> jax.Array:
    """Return which of the allowed entries has the largest priority, int32; 0 if none is allowed.

    Args:
        priorities: ``[N]``, not negative; a random one is chosen where these are uniform draws.
        allowed: ``[N]``, bool.
    """
    return jnp.argmax(jnp.where(allowed, priorities, -1.0)).astype(jnp.int32)


def normal_of(uniform: jax.Array) -> jax.Array:
    """Return the normal draws that uniform ones from [0, 1) stand for, as :func:`jax.random.normal` makes them."""
    above = np.nextafter(np.array(-1.0, uniform.dtype), np.array(0.0, uniform.dtype))
    between = jnp.maximum(above, uniform * (1 - above) + above)
    return jnp.asarray(np.sqrt(2.0), uniform.dtype) * jax.lax.erf_inv(between)


def with_gene(genome: Genome, innovation: jax.Array, source: jax.Array, target: jax.Array, weight: jax.Array) -> Genome:
    """Return the genome with another connection, in its first unused place."""
    here = jnp.arange(len(genome.innovation)) == jnp.argmin(genome.innovation > 0)
    return genome._replace(
        innovation=jnp.where(here, innovation, genome.innovation),
        source=jnp.where(here, source, genome.source),
        target=jnp.where(here, target, genome.target),
        weight=jnp.where(here, weight, genome.weight),
        enabled=here | genome.enabled,
    )


def select(condition: jax.Array, first: Genome, second: Genome) -> Genome:
    """Return the first genome where the condition holds, otherwise the second."""
    return Genome(*(jnp.where(condition, a, b) for a, b in zip(first, second, strict=True)))
