"""MAP-Elites (Mouret & Clune 2015), varying elites along lines between them (Vassiliades & Mouret 2018)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evometa.settings import Chance, NonNegative
from evometa.spaces.base import REAL, Space, VectorSpace
from evometa.strategies.quality_diversity import least_violating
from evometa.strategies.quality_diversity.grid import Elites, GridStrategy, pick
from evometa.strategies.shared import populations
from evometa.strategies.shared.noise import standard_normal
from evometa.strategies.shared.variation import others
from evometa.strategy import ArchiveRecord, Feedback
from evometa.types import Genotype, Key, Scalar


class MAPElitesState(NamedTuple):
    """The archive."""

    elites: Elites
    space: Space
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class MAPElites(GridStrategy[MAPElitesState]):
    """Fill a grid of behaviour with the best candidate of each cell, by varying the elites in it.

    For problems whose :class:`~evometa.Evaluation` has ``measures``; ``Result.archive`` is the archive. A child is an
    elite x, changed by ``iso_sigma`` N(0, I) + ``line_sigma`` (y - x) N(0, 1), where y is another elite; its integers,
    categories and structures are bred from both by the space's own ``crossover`` and ``mutate``. The first generation
    is drawn from the whole space. Candidates that violate a constraint do not enter the archive. As long as all do,
    every second generation, by chance, is drawn anew, and the others are children of those that violated the
    constraints least.

    Raises:
        ConfigurationError: no candidates; cells, low and high of different length or without extent; a size below 0,
            or a mutation rate outside [0, 1].
    """

    iso_sigma: NonNegative = 0.01
    """Standard deviation of the change of every real coordinate, in genotype units; at least 0."""
    line_sigma: NonNegative = 0.2
    """Standard deviation of the step towards another elite, in parts of the way; at least 0."""
    mutation_rate: Chance = 0.1
    """Chance of each integer or category to change, in [0, 1]."""

    def init(self, key: Key, space: Space) -> MAPElitesState:
        """Begin with an empty archive."""
        return MAPElitesState(self._empty(space.start(key)), space)

    def ask(self, key: Key, state: MAPElitesState) -> tuple[Genotype, MAPElitesState]:
        """Return children of elites; random draws while there are none to breed from."""
        space, elites = state.space, state.elites
        often = jax.random.bernoulli(jax.random.fold_in(key, 0))
        bred = (elites.filled > 0) | ((least_violating.count(elites) > 0) & often)

        def drawn() -> Genotype:
            return populations.draw(key, space, self.population_size)

        return lax.cond(bred, lambda: self._children(key, state), drawn), state

    def _children(self, key: Key, state: MAPElitesState) -> Genotype:
        space, size = state.space, self.population_size
        key_pick, key_iso, key_line, key_other = jax.random.split(key, 4)
        picked = lax.cond(
            state.elites.filled > 0,
            lambda: pick(key_pick, state.elites, 2 * size),
            lambda: least_violating.pick(key_pick, state.elites, 2 * size),
        )
        one, two = (
            jax.tree.map(lambda leaf, half=half: leaf[half], picked) for half in (slice(size), slice(size, None))
        )
        if not isinstance(space, VectorSpace):
            return others(key_other, space, one, two, crossover_rate=0.5, mutation_rate=self.mutation_rate)
        along = self.line_sigma * standard_normal(key_line, (size, 1))
        moved = one + self.iso_sigma * standard_normal(key_iso, one.shape) + along * (two - one)
        children = jax.vmap(space.repair)(moved)
        if not space.continuous:
            other = others(key_other, space, one, two, crossover_rate=0.5, mutation_rate=self.mutation_rate)
            children = jnp.where(space.coordinates.kind == REAL, children, other)
        return children

    def tell(self, key: Key, state: MAPElitesState, genotypes: Genotype, feedback: Feedback) -> MAPElitesState:
        """Add the population to the archive."""
        elites, _ = self._enter(least_violating.forget(state.elites), genotypes, feedback)
        return state._replace(elites=least_violating.keep(state.elites, elites, genotypes, feedback))

    def archive(self, state: MAPElitesState) -> ArchiveRecord:
        """Return the elites of all cells; cells that are not empty are occupied."""
        return super().archive(state._replace(elites=least_violating.forget(state.elites)))

    def diagnostics(self, state: MAPElitesState) -> dict[str, Scalar]:
        """Return the part of all cells that hold a candidate, and the QD score, as those of any grid."""
        return super().diagnostics(state._replace(elites=least_violating.forget(state.elites)))
