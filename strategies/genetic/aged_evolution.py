"""Aged (regularised) evolution (Real, Aggarwal, Huang & Le 2019, arXiv:1802.01548, algorithm 1)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.asynchronous import AsynchronousStrategy
from evometa.errors import ConfigurationError
from evometa.settings import Chance, Count, Positive
from evometa.spaces import Space
from evometa.strategies.shared import populations
from evometa.strategy import ArchiveRecord, Feedback
from evometa.types import Genotype, Key, Scalar


class AgedEvolutionState(NamedTuple):
    """A ring buffer of the L youngest candidates."""

    members: Genotype
    """``[L, ...]``."""
    fitness: jax.Array
    """``[L]``; +inf for failed members and for empty places."""
    oldest: Scalar
    """The place of the oldest member, which the next child takes, int32."""
    alive: Scalar
    """Members alive, int32, up to L."""
    space: Space
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class AgedEvolution(AsynchronousStrategy[AgedEvolutionState]):
    """Mutate the winner of a tournament among the living; each child replaces the oldest of them, whatever its fitness.

    Searches any space by its ``mutate``, as in architecture search. Since members die of age, a genotype only lasts if
    its children are evaluated as good again and again, which makes the search robust to lucky evaluations. The first L
    candidates, in whole generations, are drawn from the whole space. The ``population_size`` children of a generation
    have parents from the same living members; 1 is the algorithm of the paper. More children use parallel hardware
    better and cost few additional evaluations while they are much fewer than L. In an asynchronous search, which is how
    the paper ran it, a child is asked for when a worker is free, and replaces the oldest when its own call returns.

    Raises:
        ConfigurationError: population_size, living or tournament_size below 1; more children in a generation than
            may live; a mutation_rate outside [0, 1]; a mutation_scale that is not positive.
    """

    population_size: Count = 16
    """Children in a generation, P, from 1 to ``living``."""
    living: Count = 64
    """Members alive at a time, L; the paper has 20 to 100."""
    tournament_size: Count = 16
    """Members drawn, with replacement, of which the best becomes a parent; the paper has a quarter of L."""
    mutation_rate: Chance = 0.0
    """Chance of each part of a parent to change, in [0, 1]; 0 changes exactly one, as in the paper."""
    mutation_scale: Positive = 0.1
    """Size of a change of a real number in genotype units; of an integer in parts of its range."""

    def __post_init__(self) -> None:
        if self.population_size > self.living:
            raise ConfigurationError(
                f"AgedEvolution expects population_size <= living, so that no child dies before it could be a parent, "
                f"got {self.population_size} and {self.living}; raise living or lower population_size."
            )

    def init(self, key: Key, space: Space) -> AgedEvolutionState:
        """Begin with an empty population."""
        blank = jax.tree.map(lambda leaf: jnp.zeros((self.living, *leaf.shape), leaf.dtype), space.start(key))
        fitness = jnp.full(self.living, jnp.inf, jnp.result_type(float))
        return AgedEvolutionState(blank, fitness, jnp.int32(0), jnp.int32(0), space)

    def ask(self, key: Key, state: AgedEvolutionState) -> tuple[Genotype, AgedEvolutionState]:
        """Return P random draws while there are empty places, then P mutants of tournament winners."""
        size = self.population_size

        def drawn(key: Key) -> Genotype:
            return populations.draw(key, state.space, size, begin=state.alive == 0)

        def born(key: Key) -> Genotype:
            return self._born(key, state, size)

        return jax.lax.cond(state.alive < self.living, drawn, born, key), state

    def _born(self, key: Key, state: AgedEvolutionState, count: int) -> Genotype:
        key_tournament, key_mutate = jax.random.split(key)
        winner = populations.tournament(key_tournament, state.fitness, self.tournament_size, count)
        parents = populations.take(state.members, winner)

        def mutate(key: Key, parent: Genotype) -> Genotype:
            return state.space.mutate(key, parent, self.mutation_rate, self.mutation_scale)

        return jax.vmap(mutate)(jax.random.split(key_mutate, count), parents)

    def tell(self, key: Key, state: AgedEvolutionState, genotypes: Genotype, feedback: Feedback) -> AgedEvolutionState:
        """Put the children in the places of as many of the oldest."""
        size = len(feedback.fitness)
        place = (state.oldest + jnp.arange(size, dtype=jnp.int32)) % self.living
        return AgedEvolutionState(
            jax.tree.map(lambda old, new: old.at[place].set(new), state.members, genotypes),
            state.fitness.at[place].set(feedback.fitness),
            (state.oldest + size) % self.living,
            jnp.minimum(state.alive + size, self.living),
            state.space,
        )

    def ask_one(self, key: Key, state: AgedEvolutionState, number: Scalar) -> Genotype:
        """Return a random draw while there are empty places, then the mutant of a tournament's winner."""

        def drawn(key: Key) -> Genotype:
            return populations.draw_one(key, state.space, number)

        def born(key: Key) -> Genotype:
            return jax.tree.map(lambda leaf: leaf[0], self._born(key, state, 1))

        return jax.lax.cond(state.alive < self.living, drawn, born, key)

    def tell_completed(
        self, key: Key, state: AgedEvolutionState, genotypes: Genotype, feedback: Feedback
    ) -> AgedEvolutionState:
        """Put the child in the place of the oldest; one that failed never lives."""
        return self.tell(key, state, genotypes, feedback)

    def population(self, state: AgedEvolutionState) -> ArchiveRecord:
        """Return the living."""
        alive = jnp.arange(self.living, dtype=jnp.int32) < state.alive
        return ArchiveRecord(state.members, state.fitness, alive)

    def diagnostics(self, state: AgedEvolutionState) -> dict[str, Scalar]:
        """Return the best fitness among the living, to be minimised."""
        return {"best_living": jnp.min(state.fitness)}
