"""Random search: the baseline that every other strategy has to beat (Bergstra & Bengio 2012)."""

import dataclasses
from typing import NamedTuple

import jax

from evometa.asynchronous import AsynchronousStrategy
from evometa.settings import Count
from evometa.spaces import Space
from evometa.strategy import Feedback
from evometa.types import Genotype, Key, Scalar


class RandomSearchState(NamedTuple):
    """The state of random search, which has no arrays."""

    space: Space
    """The space to draw from, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class RandomSearch(AsynchronousStrategy[RandomSearchState]):
    """Draw every candidate from the whole space, independently of what came before.

    Searches any space. It learns nothing, so its curve shows the effect of the number of evaluations alone.

    Raises:
        ConfigurationError: population_size below 1.
    """

    population_size: Count = 64
    """Candidates in a generation, P >= 1; without influence on what an evaluation brings."""

    def init(self, key: Key, space: Space) -> RandomSearchState:
        """Return a state that holds the space."""
        return RandomSearchState(space)

    def ask(self, key: Key, state: RandomSearchState) -> tuple[Genotype, RandomSearchState]:
        """Draw P genotypes."""
        return jax.vmap(state.space.sample)(jax.random.split(key, self.population_size)), state

    def tell(self, key: Key, state: RandomSearchState, genotypes: Genotype, feedback: Feedback) -> RandomSearchState:
        """Return the state unchanged."""
        return state

    def ask_one(self, key: Key, state: RandomSearchState, number: Scalar) -> Genotype:
        """Draw a genotype."""
        return state.space.sample(key)

    def tell_completed(
        self, key: Key, state: RandomSearchState, genotypes: Genotype, feedback: Feedback
    ) -> RandomSearchState:
        """Return the state unchanged."""
        return state
