"""Population-based incremental learning (Baluja 1994) and the compact genetic algorithm (Harik, Lobo & Goldberg 1999).

The papers search bit strings; here a coordinate may have any number of choices.
"""

import dataclasses
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.settings import Chance, Count, Fraction, Several
from evometa.spaces import Space, VectorSpace
from evometa.strategies.shared import categorical, warm_start
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.ranks import gains, places, shares
from evometa.strategy import Feedback, Strategy
from evometa.types import Key, Scalar


class PBILState(NamedTuple):
    """The model that candidates are drawn from."""

    probability: jax.Array
    """``[D, K]``: of each choice of each coordinate; rows sum to 1."""
    space: VectorSpace
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class PBIL(Strategy[PBILState]):
    """Move the probability of each choice towards the winners of a generation.

    For integers and categories that depend little on each other. With ``away_from="model"`` it is population-based
    incremental learning, ``p ← p + rate (winners - p)``; with the better half as winners and rate 1, UMDA. With
    ``away_from="losers"`` the probabilities move from the losers to the winners, ``p ← p + rate (winners - losers)``:
    with ``population_size=2``, ``winners=1``, ``learning_rate=1/n`` and neither negative learning nor mutation this is
    the compact genetic algorithm, which behaves like a genetic algorithm with a population of n. Tied candidates share
    their ranks.

    Raises:
        ConfigurationError: population_size below 2, winners not between 1 and population_size / 2, learning_rate not
            positive, a rate outside [0, 1].
    """

    population_size: Several = 64
    """Candidates in a generation, P >= 2."""
    winners: Count = 2
    """How many of the best are learned from, and how many of the worst are the losers; from 1 to P/2."""
    learning_rate: Fraction = 0.1
    """Part of the way that the model moves in a generation, in (0, 1]."""
    away_from: Literal["model", "losers"] = "model"
    """What the winners pull the model away from."""
    negative_learning_rate: Chance = 0.075
    """Part of the way that the model moves on to the winners, where they differ from the losers, in [0, 1]."""
    mutation_rate: Chance = 0.02
    """Chance of each coordinate to be pulled towards a choice at random in a generation, in [0, 1]."""
    mutation_shift: Chance = 0.05
    """Part of the way of that pull, in [0, 1]."""

    stop_reasons: ClassVar[tuple[str, ...]] = ("converged: the model draws a single candidate only",)

    def __post_init__(self) -> None:
        if self.winners > self.population_size / 2:
            raise ConfigurationError(
                f"PBIL expects winners of at most population_size / 2, so that nobody wins and loses at once, "
                f"got {self.winners} of {self.population_size}."
            )

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but integers and categories."""
        return categorical.refuse_unless_discrete(self, space)

    def init(self, key: Key, space: Space) -> PBILState:
        """Start with every choice equally probable."""
        space = vector_space(self, space)
        has = jnp.asarray(categorical.available(space), jnp.result_type(float))
        return PBILState(has / jnp.sum(has, axis=1, keepdims=True), space)

    def begun(self, state: PBILState, points: jax.Array) -> PBILState:
        """Take the probabilities from known points ``[K, D]``."""
        return state._replace(probability=warm_start.choices(state.space, points).astype(state.probability.dtype))

    def ask(self, key: Key, state: PBILState) -> tuple[jax.Array, PBILState]:
        """Draw ``[P, D]`` candidates from the model."""
        return categorical.sample(key, state.space, jnp.log(state.probability), self.population_size), state

    def tell(self, key: Key, state: PBILState, genotypes: jax.Array, feedback: Feedback) -> PBILState:
        """Move the model towards the winners, and mutate it."""
        at = places(feedback.fitness)
        table = np.where(np.arange(self.population_size) < self.winners, 1 / self.winners, 0.0)
        winners = categorical.frequencies(state.space, gains(table, at), genotypes)
        losers = categorical.frequencies(state.space, shares(table[::-1], at), genotypes)
        p = state.probability
        p = p + self.learning_rate * (winners - (losers if self.away_from == "losers" else p))
        # Baluja: where the best and the worst candidate have different bits, learn that bit of the best again.
        differ = 1 - jnp.sum(winners * losers, axis=1, keepdims=True)
        p = p + self.negative_learning_rate * differ * (winners - p)
        p = self._mutate(key, state.space, jnp.clip(p, 0.0, 1.0))
        return PBILState(p / jnp.sum(p, axis=1, keepdims=True), state.space)

    def _mutate(self, key: Key, space: VectorSpace, p: jax.Array) -> jax.Array:
        key_which, key_choice = jax.random.split(key)
        which = jax.random.bernoulli(key_which, self.mutation_rate, (space.size, 1))
        has = categorical.available(space)
        choice = jax.random.categorical(key_choice, jnp.where(has, 0.0, -jnp.inf))
        pull = jax.nn.one_hot(choice, p.shape[1], dtype=p.dtype) - p
        return p + jnp.where(which, self.mutation_shift * pull, 0.0)

    def center(self, state: PBILState) -> jax.Array:
        """Return the most probable genotype ``[D]``."""
        return categorical.mode(state.space, state.probability)

    def stop(self, state: PBILState) -> Scalar:
        """Stop when every probability is 0 or 1, which mutation prevents."""
        return jnp.all(jnp.max(state.probability, axis=1) == 1).astype(jnp.int32)

    def diagnostics(self, state: PBILState) -> dict[str, Scalar]:
        """Return the entropy of the coordinates in nats, averaged."""
        return {"entropy": categorical.entropy(state.probability)}
