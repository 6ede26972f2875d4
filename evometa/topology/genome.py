"""Genes of growing networks and their historical markings (see :mod:`evometa.topology`)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Key


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


def matching_genes(first: Genome, second: Genome) -> jax.Array:
    """Return which genes of the first match which genes of the second, bool ``[C, C]``."""
    return (first.innovation[:, None] == second.innovation) & (first.innovation > 0)[:, None]


def marking_of(first: jax.Array, second: jax.Array) -> jax.Array:
    """Return a hash of two markings, uint32 and never 0, with the finalizer of MurmurHash3."""
    mixed = first * jnp.uint32(0x9E3779B1) + second * jnp.uint32(0x85EBCA77) + jnp.uint32(0x27D4EB2F)
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        mixed = (mixed ^ (mixed >> shift)) * jnp.uint32(factor)
    return jnp.maximum(mixed ^ (mixed >> 16), 1)


def choose_one(key: Key, allowed: jax.Array) -> jax.Array:
    """Return a random one of the allowed entries as a one-hot mask, bool ``[N]``; no entry if none is allowed."""
    priorities = jnp.where(allowed, jax.random.uniform(key, allowed.shape), -1.0)
    return (jnp.arange(len(allowed)) == jnp.argmax(priorities)) & allowed


def with_gene(genome: Genome, innovation: jax.Array, source: jax.Array, target: jax.Array, weight: jax.Array) -> Genome:
    """Return the genome with another connection, in its first unused place."""
    place = jnp.argmin(genome.innovation > 0)
    return genome._replace(
        innovation=genome.innovation.at[place].set(innovation),
        source=genome.source.at[place].set(source),
        target=genome.target.at[place].set(target),
        weight=genome.weight.at[place].set(weight),
        enabled=genome.enabled.at[place].set(True),
    )


def select(condition: jax.Array, first: Genome, second: Genome) -> Genome:
    """Return the first genome where the condition holds, otherwise the second."""
    return Genome(*(jnp.where(condition, a, b) for a, b in zip(first, second, strict=True)))
