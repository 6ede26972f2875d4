"""NEAT (Stanley & Miikkulainen, "Evolving neural networks through augmenting topologies", 2002)."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.feasibility import ConstraintHandling
from evometa.settings import Chance, Count, Natural, NonNegative, Positive, Several
from evometa.spaces import Space
from evometa.strategies.shared import populations
from evometa.strategies.structures import speciation
from evometa.strategies.structures.speciation import Species
from evometa.strategy import ArchiveRecord, Feedback, Strategy, require_space
from evometa.topology import Topology
from evometa.types import Genotype, Key, Scalar

REFOCUS = 20
"""After so many generations in which nothing better was found, only the two best species have children."""
LARGE = 5
"""The best of a species with more members than this is kept unchanged."""


class NEATState(NamedTuple):
    """The parents of the next generation and their species."""

    parents: Genotype
    """``[P, ...]``, by species, and in a species the best first."""
    fitness: jax.Array
    """``[P]``, theirs."""
    species: Species
    """K species at most."""
    best: Scalar
    """The best fitness so far."""
    age: Scalar
    """Generations since that was found, int32."""
    started: Scalar
    """Whether there are parents yet, bool."""
    space: Topology
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class NEAT(Strategy[NEATState]):
    """NEAT: networks that grow from minimal ones, crossover by historical markings, and fitness sharing in species.

    Searches :class:`~evometa.topology.Topology`, whose markings say which genes of two networks match. Networks that
    resemble each other, measured by the genes that do not match and by the weights of those that do, form a species. A
    species has children in proportion to the mean fitness of its members, and they compete with each other only, so
    that a new structure has time to become good. Defaults are the paper's for a population of 150, except for the
    size of weight mutations, which it does not give.

    Since fitness here may have any sign and scale, a species' share of the children depends on the fitness of its
    members relative to the worst and the best of the generation. Disjoint and excess genes count alike, as in all the
    paper's experiments.

    Raises:
        ConfigurationError: population_size below 2, a chance outside [0, 1], sizes or coefficients that are not
            positive; with the space: one that is no Topology.
    """

    population_size: Several = 150
    """Candidates in a generation, P >= 2."""
    threshold: Positive = 3.0
    """Networks further apart than this are of different species, δt."""
    gene_weight: NonNegative = 1.0
    """What a gene that does not match counts in the distance, c1 and c2."""
    weight_weight: NonNegative = 0.4
    """What the mean difference of the matching weights counts, c3."""
    survivors: Chance = 0.2
    """Share of a species, its best, that may be parents; one in any case."""
    patience: Natural = 15
    """Generations that a species may continue without finding anything better."""
    crossover_rate: Chance = 0.75
    """Chance of a child to have two parents; of such children ``mutation_rate`` are mutated too, of others all."""
    interspecies_rate: Chance = 0.001
    """Chance of a child's other parent to come from any species."""
    mutation_rate: Chance = 0.8
    """Chance of a child of two parents to be mutated."""
    weight_rate: Chance = 0.9
    """Chance of each weight to change, where a mutation is one of weights."""
    mutation_scale: Positive = 2.0
    """Standard deviation of a weight's change, in the unit of the space."""
    max_species: Count = 32
    """K, species at most."""

    constraint_handling: ClassVar[ConstraintHandling] = "penalised"

    def incompatibility(self, space: Space) -> str | None:
        """Refuse all spaces but topologies."""
        if isinstance(space, Topology):
            return None
        return (
            f"NEAT searches networks that grow (Topology), got {type(space).__name__}; "
            "use GeneticAlgorithm, which searches any space."
        )

    def init(self, key: Key, space: Space) -> NEATState:
        """Start without parents."""
        require_space(self, space)
        assert isinstance(space, Topology)
        one = space.start(key)
        blank = jax.tree.map(lambda leaf: jnp.zeros((self.population_size, *leaf.shape), leaf.dtype), one)
        infinity = jnp.full(self.population_size, jnp.inf, jnp.result_type(float))
        species = speciation.empty_species(one, self.max_species)
        return NEATState(blank, infinity, species, infinity[0], jnp.int32(0), jnp.asarray(False), space)

    def resized(self, key: Key, state: NEATState, space: Space, former: Strategy[NEATState]) -> NEATState:
        """Keep the best of each species, in proportion; random draws, not in a species yet, fill the other places."""
        size, count = state.species.size, len(state.fitness)
        end = jnp.cumsum(size)
        own = jnp.searchsorted(end, jnp.arange(count), side="right")
        place = jnp.arange(count) - (end - size)[own]  # in its species, the best first
        order = jnp.lexsort((state.fitness, place / size[own]))[: self.population_size]
        order = jnp.sort(order)  # by species again
        left = jnp.sum(own[order][:, None] == jnp.arange(len(size)), axis=0, dtype=size.dtype)
        share = jnp.where(left > 0, state.species.share, 0.0)
        species = state.species._replace(size=left, share=share / share.sum())
        fresh = populations.draw(key, space, self.population_size, begin=False), self.init(key, space).fitness
        parents, fitness = populations.resized((state.parents, state.fitness), fresh, order)
        return state._replace(parents=parents, fitness=fitness, species=species)

    def ask(self, key: Key, state: NEATState) -> tuple[Genotype, NEATState]:
        """Return children, and the best of each large species; in the first generation minimal networks."""

        def drawn(key: Key) -> Genotype:
            return populations.draw(key, state.space, self.population_size)

        return jax.lax.cond(state.started, lambda key: self._children(key, state), drawn, key), state

    def _children(self, key: Key, state: NEATState) -> Genotype:
        size, species, space = self.population_size, state.species, state.space
        key_choices, key_children = jax.random.split(key)
        # In one draw, since each compiles to a loop of its own.
        choices = jax.random.uniform(key_choices, (6, size), state.fitness.dtype)
        of_first, of_second, of_stranger, strange, two, changed = choices
        # Places at even distances along the shares: each species gets its part to within one child.
        place = (jnp.arange(size) + 0.5) / size
        own = jnp.sum(place[:, None] > jnp.cumsum(species.share)[:-1], axis=1)
        begin = jnp.cumsum(species.size) - species.size
        may = jnp.maximum(jnp.ceil(self.survivors * species.size), 1).astype(jnp.int32)

        def parent(draw: jax.Array) -> jax.Array:
            return begin[own] + (draw * may[own]).astype(jnp.int32)

        first, second = parent(of_first), parent(of_second)
        stranger = (of_stranger * size).astype(jnp.int32)
        second = jnp.where(strange < self.interspecies_rate, stranger, second)
        swap = state.fitness[second] < state.fitness[first]
        first, second = jnp.where(swap, second, first), jnp.where(swap, first, second)
        crossed = two < self.crossover_rate
        mutated = ~crossed | (changed < self.mutation_rate)

        def breed(crossed: Scalar, mutated: Scalar, keys: Key, first: Genotype, second: Genotype) -> Genotype:
            child = _either(crossed, space.crossover(keys[0], first, second), first)
            return _either(mutated, space.mutate(keys[1], child, self.weight_rate, self.mutation_scale), child)

        parents = (populations.take(state.parents, which) for which in (first, second))
        children = jax.vmap(breed)(crossed, mutated, jax.random.split(key_children, (size, 2)), *parents)
        champion = (species.size[own] > LARGE) & (own != jnp.concatenate([jnp.full(1, -1), own[:-1]]))
        return jax.vmap(_either)(champion, populations.take(state.parents, begin[own]), children)

    def tell(self, key: Key, state: NEATState, genotypes: Genotype, feedback: Feedback) -> NEATState:
        """Divide the generation into species, and allot each its share of the next generation."""
        fitness = feedback.fitness
        fitness = fitness.astype(state.fitness.dtype)
        own, species = speciation.assign(self._distance(state.space), state.species, genotypes, self.threshold)
        better = jnp.min(fitness) < state.best
        age = jnp.where(better, 0, state.age + 1)
        species = speciation.allot_shares(species, own, fitness, self.patience, age > REFOCUS)
        order = jnp.lexsort((fitness, own))
        parents = populations.take(genotypes, order)
        # The next generation is compared with random members of this one.
        someone = jnp.floor(jax.random.uniform(key, species.size.shape) * species.size).astype(jnp.int32)
        someone = jnp.cumsum(species.size) - species.size + someone
        represent = populations.take(parents, jnp.minimum(someone, self.population_size - 1))
        species = species._replace(representatives=represent)
        best = jnp.minimum(state.best, jnp.min(fitness))
        return NEATState(parents, fitness[order], species, best, age, jnp.asarray(True), state.space)

    def _distance(self, space: Topology) -> speciation.Distance:
        def distance(first: Genotype, second: Genotype) -> Scalar:
            genes, weights = space.distance(first, second)
            return self.gene_weight * genes + self.weight_weight * weights

        return distance

    def population(self, state: NEATState) -> ArchiveRecord:
        """Return the parents of the next generation."""
        return ArchiveRecord(state.parents, state.fitness, jnp.broadcast_to(state.started, state.fitness.shape))

    def diagnostics(self, state: NEATState) -> dict[str, Scalar]:
        """Return how many species there are, and the mean number of hidden nodes and of enabled connections."""
        dtype = state.fitness.dtype
        return {
            "species": jnp.sum(state.species.size > 0, dtype=jnp.int32),
            "mean_hidden": jnp.mean(jnp.sum(state.parents.node > 0, axis=1), dtype=dtype),
            "mean_connections": jnp.mean(jnp.sum(state.parents.enabled, axis=1), dtype=dtype),
        }


def _either(condition: Scalar, yes: Genotype, no: Genotype) -> Genotype:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
