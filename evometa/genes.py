"""Genes of networks that grow, and their historical markings (see :mod:`evometa.topology`)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Key


class Genome(NamedTuple):
    """A network as genes; H hidden nodes and C connections at most.

    Nodes are numbered: inputs first, the bias, outputs, hidden nodes in the order of their places here.
    """

    node: jax.Array
    """``[H]`` uint32, the marking of each hidden node, 0 where there is none."""
    position: jax.Array
    """``[H]``, where each stands, between 0 and 1."""
    innovation: jax.Array
    """``[C]`` uint32, the marking of each connection, 0 where there is none."""
    source: jax.Array
    """``[C]`` int32, the number of the node that it comes from."""
    target: jax.Array
    """``[C]`` int32, the number of the node that it leads to."""
    weight: jax.Array
    """``[C]``"""
    enabled: jax.Array
    """``[C]`` bool; a connection that was split is disabled, and stays as a gene."""


def same(first: Genome, second: Genome) -> jax.Array:
    """Return which gene of the second each of the first matches, bool ``[C, C]``."""
    return (first.innovation[:, None] == second.innovation) & (first.innovation > 0)[:, None]


def marking_of(first: jax.Array, second: jax.Array) -> jax.Array:
    """Return a hash of two markings, uint32 and never 0 (multiply and xorshift, as MurmurHash3 ends)."""
    mixed = first * jnp.uint32(0x9E3779B1) + second * jnp.uint32(0x85EBCA77) + jnp.uint32(0x27D4EB2F)
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        mixed = (mixed ^ (mixed >> shift)) * jnp.uint32(factor)
    return jnp.maximum(mixed ^ (mixed >> 16), 1)


def drawn(key: Key, among: jax.Array) -> jax.Array:
    """Return which one of those that may be is drawn, as a one-hot row."""
    lots = jnp.where(among, jax.random.uniform(key, among.shape), -1.0)
    return (jnp.arange(len(among)) == jnp.argmax(lots)) & among


def with_gene(genome: Genome, innovation: jax.Array, source: jax.Array, target: jax.Array, weight: jax.Array) -> Genome:
    """Return a genome with one connection more, in its first free place."""
    place = jnp.argmin(genome.innovation > 0)
    return genome._replace(
        innovation=genome.innovation.at[place].set(innovation),
        source=genome.source.at[place].set(source),
        target=genome.target.at[place].set(target),
        weight=genome.weight.at[place].set(weight),
        enabled=genome.enabled.at[place].set(True),
    )


def choose(condition: jax.Array, yes: Genome, no: Genome) -> Genome:
    """Return one of two genomes."""
    return Genome(*(jnp.where(condition, a, b) for a, b in zip(yes, no, strict=True)))
