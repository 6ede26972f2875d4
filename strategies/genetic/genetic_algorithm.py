"""A genetic algorithm over any space (Holland 1975; tournaments: Goldberg & Deb 1991; steady state: Whitley 1989)."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.asynchronous import AsynchronousStrategy
from evometa.errors import ConfigurationError
from evometa.settings import Chance, Count, Natural, Positive, Several
from evometa.spaces import Space
from evometa.strategies.shared import populations
from evometa.strategy import ArchiveRecord, Feedback, Strategy
from evometa.types import Genotype, Key, Scalar

Select = Callable[[Key, jax.Array, int], jax.Array]
"""From a key, the fitness of all and a count to the parents that are selected, int32 ``[count]``."""


class GeneticAlgorithmState(NamedTuple):
    """The parents of the next generation."""

    parents: Genotype
    """``[P, ...]``."""
    fitness: jax.Array
    """``[P]``, from the last generation; +inf for failed ones."""
    started: Scalar
    """Whether there are parents yet, bool."""
    space: Space
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class GeneticAlgorithm(AsynchronousStrategy[GeneticAlgorithmState]):
    """Breed each generation from the tournament winners of the one before, by crossover and mutation.

    Searches any space by its ``crossover`` and ``mutate``. The elites, the best of a generation, are kept
    unchanged and evaluated again with all others: where each generation has its own tasks, a lucky elite then does not
    stay forever. The first generation is drawn from the whole space.

    In an asynchronous search it is a steady-state algorithm (GENITOR): the best P candidates so far are the parents,
    and a child that is better than the worst of them takes its place. All parents are elites then. Where the fitness is
    noisy, lucky ones stay, and AgedEvolution is the better choice.

    Raises:
        ConfigurationError: population_size below 2, elites not between 0 and population_size - 1, tournament_size
            below 1, a chance outside [0, 1], or a mutation_scale that is not positive.
    """

    population_size: Several = 64
    """Candidates in a generation, P >= 2, elites included."""
    elites: Natural = 2
    """How many of the best are kept unchanged, at least 0 and fewer than P."""
    tournament_size: Count = 4
    """Members drawn, with replacement, of which the best becomes a parent: the larger, the greedier; 1 is no selection
    but that of the elites."""
    crossover_rate: Chance = 0.7
    """Chance of a child to have two parents, in [0, 1]."""
    mutation_rate: Chance = 0.0
    """Chance of each part of a child to change, in [0, 1]; one changes in any case, and 0 changes exactly one: close to
    1/D, the best rate for bits (Mühlenbein 1992)."""
    mutation_scale: Positive = 0.1
    """Size of a change of a real number in genotype units; of an integer in parts of its range."""

    def __post_init__(self) -> None:
        if self.elites >= self.population_size:
            raise ConfigurationError(
                f"GeneticAlgorithm expects fewer elites than population_size, so that there are children, "
                f"got {self.elites} and {self.population_size}; lower elites."
            )

    def init(self, key: Key, space: Space) -> GeneticAlgorithmState:
        """Begin without parents."""
        blank = jax.tree.map(lambda leaf: jnp.zeros((self.population_size, *leaf.shape), leaf.dtype), space.start(key))
        fitness = jnp.full(self.population_size, jnp.inf, jnp.result_type(float))
        return GeneticAlgorithmState(blank, fitness, jnp.asarray(False), space)

    def resized(
        self, key: Key, state: GeneticAlgorithmState, space: Space, former: Strategy[GeneticAlgorithmState]
    ) -> GeneticAlgorithmState:
        """Keep the best parents; random draws, which win no tournament against them, fill the other places."""
        fresh = populations.draw(key, space, self.population_size, begin=False), self.init(key, space).fitness
        order = jnp.argsort(state.fitness)
        parents, fitness = populations.resized((state.parents, state.fitness), fresh, order)
        return state._replace(parents=parents, fitness=fitness)

    def ask(self, key: Key, state: GeneticAlgorithmState) -> tuple[Genotype, GeneticAlgorithmState]:
        """Return the elites, best first, and children; in the first generation random draws."""

        def drawn(key: Key) -> Genotype:
            return populations.draw(key, state.space, self.population_size)

        def bred(key: Key) -> Genotype:
            elite = jnp.argsort(state.fitness)[: self.elites]
            children = self._children(key, state, self._selected, self.population_size - self.elites)
            return jax.tree.map(lambda old, new: jnp.concatenate([old[elite], new]), state.parents, children)

        return jax.lax.cond(state.started, bred, drawn, key), state

    def _selected(self, key: Key, fitness: jax.Array, count: int) -> jax.Array:
        return populations.tournament(key, fitness, self.tournament_size, count)

    def _children(self, key: Key, state: GeneticAlgorithmState, select: Select, count: int) -> Genotype:
        space = state.space
        key_tournament, key_two, key_crossover, key_mutate = jax.random.split(key, 4)
        winners = select(key_tournament, state.fitness, 2 * count)
        first, second = (populations.take(state.parents, half) for half in (winners[:count], winners[count:]))
        two = jax.random.bernoulli(key_two, self.crossover_rate, (count,))

        def breed(two: Scalar, keys: tuple[Key, Key], first: Genotype, second: Genotype) -> Genotype:
            crossed = space.crossover(keys[0], first, second)
            child = jax.tree.map(lambda a, b: jnp.where(two, a, b), crossed, first)
            return space.mutate(keys[1], child, self.mutation_rate, self.mutation_scale)

        keys = jax.random.split(key_crossover, count), jax.random.split(key_mutate, count)
        return jax.vmap(breed)(two, keys, first, second)

    def tell(
        self, key: Key, state: GeneticAlgorithmState, genotypes: Genotype, feedback: Feedback
    ) -> GeneticAlgorithmState:
        """Make the generation the next parents."""
        return GeneticAlgorithmState(
            genotypes, feedback.fitness.astype(state.fitness.dtype), jnp.asarray(True), state.space
        )

    def ask_one(self, key: Key, state: GeneticAlgorithmState, number: Scalar) -> Genotype:
        """Return one of P random draws first, then a child of the parents that there are."""
        known = jnp.sum(jnp.isfinite(state.fitness))
        best_first = jnp.argsort(state.fitness)

        def selected(key: Key, fitness: jax.Array, count: int) -> jax.Array:
            contestants = jax.random.randint(key, (count, self.tournament_size), 0, jnp.maximum(known, 1))
            return best_first[jnp.min(contestants, axis=1)]

        def bred(key: Key) -> Genotype:
            return jax.tree.map(lambda leaf: leaf[0], self._children(key, state, selected, 1))

        def drawn(key: Key) -> Genotype:
            return populations.draw_one(key, state.space, number)

        return jax.lax.cond((number >= self.population_size) & (known >= 2), bred, drawn, key)

    def tell_completed(
        self, key: Key, state: GeneticAlgorithmState, genotypes: Genotype, feedback: Feedback
    ) -> GeneticAlgorithmState:
        """Put the child in the place of the worst parent, or in an empty one, if it is better."""
        worst = jnp.argmax(state.fitness)
        child = feedback.fitness[0].astype(state.fitness.dtype)
        place = jnp.where(child < state.fitness[worst], worst, self.population_size)  # none, if it is not
        fitness = state.fitness.at[place].set(child, mode="drop")
        parents = jax.tree.map(lambda old, new: old.at[place].set(new[0], mode="drop"), state.parents, genotypes)
        return GeneticAlgorithmState(parents, fitness, jnp.all(jnp.isfinite(fitness)), state.space)

    def population(self, state: GeneticAlgorithmState) -> ArchiveRecord:
        """Return the parents of the next generation."""
        return ArchiveRecord(state.parents, state.fitness, state.started | jnp.isfinite(state.fitness))
